import { posix } from 'node:path';
import { BuildError } from '../errors.js';
import { partsOf } from '../root-path.js';
import { BAD_PATTERN, type Glob, matchGlob, parseGlob, type Steps } from './match.js';

/** Whether a path, relative to the source and without leading slash, is left out of the build together with what is below it. */
export type Ignore = (path: string) => boolean;

interface Rule {
	readonly parts: readonly Part[];
	readonly ignores: boolean;
}

/** Text without special characters, which is most of all, or a pattern. */
type Part = string | Glob;

const MAX_RULES = 10_000;
/** For a whole source: seconds. A million files and a hundred rules take a fifth of it. */
const MAX_STEPS = 500_000_000;

/**
 * The rules of a `.s2iignore`: `#` comments, Go's glob syntax anchored at the source root, `!` takes a match back, the last match
 * decides. Patterns that leave the source match nothing. Nothing below an ignored directory can be taken back.
 * Throws SOURCE_INVALID with the line number for a malformed pattern, and the function that it returns when matching has taken too long.
 */
export function parseIgnore(text: string): Ignore {
	const rules = text.split('\n').flatMap((line, index) => parseRule(line.trim(), index + 1));
	if (rules.length > MAX_RULES) {
		throw new BuildError('SOURCE_INVALID', `.s2iignore has more than ${MAX_RULES} rules`, {
			hint: 'Use patterns instead of one line for each file.',
		});
	}
	const steps: Steps = { left: MAX_STEPS };
	const ordered = rules.map((rule, order) => ({ ...rule, order }));
	const named = new Map(ordered.filter(isName).map((rule) => [rule.parts.join('/'), rule]));
	const byDepth = Map.groupBy(
		ordered.filter((rule) => !isName(rule)),
		({ parts }) => parts.length,
	);
	return (path) => {
		const parts = path.split('/').map((text): Name => ({ text, characters: Array.from(text) }));
		const exact = named.get(path);
		const after = exact?.order ?? -1;
		const last = byDepth.get(parts.length)?.findLast((rule) => rule.order > after && matches(rule, parts, steps));
		if (steps.left < 0) throw tooSlow();
		return (last ?? exact)?.ignores ?? false;
	};
}

/** A part of a path. */
interface Name {
	readonly text: string;
	readonly characters: readonly string[];
}

function parseRule(line: string, number: number): readonly Rule[] {
	if (line === '' || line.startsWith('#')) return [];
	const ignores = !line.startsWith('!');
	const pattern = (ignores ? line : line.slice(1)).trim();
	const parts = partsOf(posix.normalize(pattern));
	const globs = parts.map(parseGlob).filter((glob) => glob !== BAD_PATTERN);
	if (globs.length < parts.length) {
		const message = `.s2iignore line ${number} is not a valid pattern: ${JSON.stringify(line.slice(0, 100))}`;
		throw new BuildError('SOURCE_INVALID', message, {
			hint: 'Brackets must be closed, and a backslash needs a character behind it.',
		});
	}
	return parts.length === 0 || parts[0] === '..' ? [] : [{ parts: globs.map(plainOr), ignores }];
}

/** Whether a rule can only match one path, so that it need not be tried on others. */
function isName({ parts }: Rule): boolean {
	return parts.every((part) => typeof part === 'string');
}

function plainOr(glob: Glob): Part {
	return glob.some((character) => '*?[\\'.includes(character)) ? glob : glob.join('');
}

function matches(rule: Rule, names: readonly Name[], steps: Steps): boolean {
	steps.left -= 1;
	return names.every(({ text, characters }, index) => {
		const part = rule.parts[index] ?? '';
		return typeof part === 'string' ? part === text : matchGlob(part, characters, steps);
	});
}

function tooSlow(): BuildError {
	return new BuildError('SOURCE_INVALID', 'the rules of .s2iignore take too long for this source', {
		hint: 'Use fewer rules, or rules with fewer stars.',
	});
}
