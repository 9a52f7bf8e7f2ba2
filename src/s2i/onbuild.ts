import { posix } from 'node:path';
import type { ContainerConfig } from '../oci/image.js';
import { BAD_PATTERN, goMatch } from '../source/match.js';
import { DEFAULT_PATH } from './contract.js';
import { type EnvironmentVariable, readImageEnvironment } from './environment.js';
import { type Apply, CONFIG_INSTRUCTIONS } from './onbuild-config.js';
import {
	expandWord,
	type Instruction,
	type OnBuildConfig,
	type OnBuildState,
	type OnBuildStep,
	shellOf,
} from './onbuild-state.js';
import { onBuildInvalid, onBuildUnsupported, readJsonForm, splitFlags, splitPlain } from './onbuild-words.js';

/** What the ONBUILD instructions of an image come to. */
export interface OnBuildPlan {
	readonly steps: readonly OnBuildStep[];
	/** The config of the image after all of them, ONBUILD being empty. */
	readonly config: ContainerConfig;
}

const MAX_INSTRUCTIONS = 500;
const MAX_LENGTH = 64 * 1024;

const INSTRUCTIONS: Readonly<Record<string, Apply>> = {
	...CONFIG_INSTRUCTIONS,
	COPY: (instruction, state) => void state.steps.push(readCopy(instruction, state)),
	ADD: (instruction, state) => void state.steps.push(readCopy(instruction, state)),
	RUN: (instruction, state) => void state.steps.push(readRun(instruction, state)),
	WORKDIR: (instruction, state) => {
		const word = expandWord(instruction.rest, state, instruction);
		if (word === '') throw onBuildInvalid(instruction.text, 'names no directory');
		state.cwd = posix.resolve(state.cwd, word);
		state.config = { ...state.config, WorkingDir: state.cwd };
		state.steps.push({ type: 'directory', path: state.cwd, user: state.config.User ?? '', text: instruction.text });
	},
};

/**
 * Reads the ONBUILD instructions of an image with the config `config` as Docker does, all of them before any is executed.
 * `environment` are the variables of the build: they win over ENV and ARG of the same name. Throws IMAGE_UNSUPPORTED, naming it, for
 * what only Docker can do, and IMAGE_INVALID for what is malformed.
 */
export function planOnBuild(
	onBuild: readonly string[],
	config: ContainerConfig,
	environment: readonly EnvironmentVariable[],
): OnBuildPlan {
	const state = createState({ ...config, OnBuild: [] }, environment);
	if (onBuild.length > MAX_INSTRUCTIONS)
		throw onBuildInvalid(onBuild[0] ?? '', `is one of more than ${MAX_INSTRUCTIONS}`);
	for (const text of onBuild) {
		const instruction = parseInstruction(text);
		const apply = Object.hasOwn(INSTRUCTIONS, instruction.name) ? INSTRUCTIONS[instruction.name] : undefined;
		if (apply === undefined) throw onBuildUnsupported(text, instruction.name.slice(0, 20) || 'an empty instruction');
		apply(instruction, state);
	}
	const env = [...state.env].map(([name, value]) => `${name}=${value}`);
	return { steps: state.steps, config: env.length === 0 ? state.config : { ...state.config, Env: env } };
}

function createState(config: OnBuildConfig, environment: readonly EnvironmentVariable[]): OnBuildState {
	const env = new Map(readImageEnvironment(config.Env).map(({ name, value }) => [name, value]));
	const args = new Map<string, string>();
	const asked = new Map(environment.map(({ name, value }) => [name, value]));
	const path = (name: string) => (name === 'PATH' ? DEFAULT_PATH : undefined);
	return {
		env,
		args,
		steps: [],
		config,
		cwd: posix.resolve('/', config.WorkingDir ?? ''),
		hasCommand: false,
		variables: (name) => asked.get(name) ?? env.get(name) ?? args.get(name) ?? path(name),
	};
}

function parseInstruction(text: string): Instruction {
	if (text.length > MAX_LENGTH) throw onBuildInvalid(text, 'is longer than 64 KiB');
	if (text.includes('\0')) throw onBuildInvalid(text, 'has a NUL byte');
	const [, name = '', rest = ''] = /^(\S*)\s*([^]*)$/.exec(text.trim()) ?? [];
	return { name: name.toUpperCase(), rest, text };
}

function readRun({ rest, text }: Instruction, state: OnBuildState): OnBuildStep {
	const [, flag] = /^--([a-z-]+)/.exec(rest) ?? [];
	if (flag !== undefined) throw onBuildUnsupported(text, `RUN --${flag}`);
	if (rest.startsWith('<<')) throw onBuildUnsupported(text, 'RUN of a here-document');
	const [program, ...args] = readJsonForm(rest) ?? (rest === '' ? [] : [...shellOf(state), rest]);
	if (program === undefined || program === '') throw onBuildInvalid(text, 'has no command');
	return {
		type: 'run',
		argv: [program, ...args],
		env: { PATH: DEFAULT_PATH, ...Object.fromEntries([...state.args, ...state.env]) },
		cwd: state.cwd,
		user: state.config.User ?? '',
		text,
	};
}

/** A file of the source's root directory. */
interface RootFile {
	readonly name: string;
	/** A regular file that somebody may execute. */
	readonly executable: boolean;
}

const NAMES = /^(?:run|start|exec|execute)(?:\.sh)?$/;

/**
 * The file that an ONBUILD image without run script starts, as S2I guesses it: the first executable one, in byte order, that is
 * called run, start, exec or execute, with or without `.sh`. Undefined when there is none.
 */
export function guessEntrypoint(files: readonly RootFile[]): string | undefined {
	const names = files.flatMap(({ name, executable }) => (executable && NAMES.test(name) ? [name] : []));
	return names.sort()[0];
}

const REMOTE = /^(?:https?|ftp|git|ssh):\/\/|^git@|^github\.com\//i;

/**
 * COPY or ADD of local files, with `--chown`, `--chmod` (octal) and `--link`, which changes nothing here. Throws IMAGE_UNSUPPORTED for
 * other flags and for URLs, IMAGE_INVALID for sources outside of the build context.
 */
function readCopy(instruction: Instruction, state: OnBuildState): OnBuildStep {
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
