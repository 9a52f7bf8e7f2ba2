import { posix } from 'node:path';
import { BAD_PATTERN, goMatch } from '../source/match.js';
import { expandWord, type Instruction, type OnBuildState, type OnBuildStep } from './onbuild-state.js';
import { onBuildInvalid, onBuildUnsupported, readJsonForm, splitFlags, splitPlain } from './onbuild-words.js';

const REMOTE = /^(?:https?|ftp|git|ssh):\/\/|^git@|^github\.com\//i;

/**
 * COPY or ADD of local files, with `--chown`, `--chmod` (octal) and `--link`, which changes nothing here. Throws IMAGE_UNSUPPORTED for
 * other flags and for URLs, IMAGE_INVALID for sources outside of the build context.
 */
export function readCopy(instruction: Instruction, state: OnBuildState): OnBuildStep {
	const { name, text } = instruction;
	const { flags, rest } = splitFlags(instruction.rest);
	for (const flag of flags.keys()) {
		if (!['chown', 'chmod', 'link'].includes(flag)) throw onBuildUnsupported(text, `${name} --${flag}`);
	}
	const words = (readJsonForm(rest) ?? splitPlain(rest)).map((word) => expandWord(word, state, instruction));
	const destination = words.at(-1) ?? '';
	const sources = words.slice(0, -1);
	if (sources.length === 0 || destination === '') throw onBuildInvalid(text, 'needs a source and a destination');
	const intoDirectory = /(?:^|\/)\.?$/.test(destination);
	if (sources.length > 1 && !intoDirectory)
		throw onBuildInvalid(text, 'has several sources, so its destination must end with /');
	const chown = flags.get('chown');
	return {
		type: 'copy',
		sources: sources.map((source) => readSource(source, instruction)),
		destination: posix.resolve(state.cwd, destination),
		intoDirectory,
		extract: name === 'ADD',
		chown: chown === undefined ? undefined : expandWord(chown, state, instruction),
		mode: readMode(flags.get('chmod'), state, instruction),
		text,
	};
}

function readSource(source: string, { name, text }: Instruction): string {
	if (REMOTE.test(source)) throw onBuildUnsupported(text, `${name} of a URL`);
	if (source.startsWith('<<')) throw onBuildUnsupported(text, `${name} of a here-document`);
	const clean = posix.normalize(`./${source}`).replace(/\/$/, '');
	if (clean === '..' || clean.startsWith('../')) throw onBuildInvalid(text, 'wants files from outside of the source');
	if (goMatch(clean, '') === BAD_PATTERN) throw onBuildInvalid(text, 'has a pattern that is not valid');
	return clean === '.' ? '' : clean;
}

function readMode(flag: string | undefined, state: OnBuildState, instruction: Instruction): number | undefined {
	if (flag === undefined) return undefined;
	const mode = expandWord(flag, state, instruction);
	if (/^[0-7]{3,4}$/.test(mode)) return Number.parseInt(mode, 8);
	throw onBuildUnsupported(
		instruction.text,
		`--chmod=${JSON.stringify(mode.slice(0, 20)).slice(1, -1)}, which is not octal,`,
	);
}
