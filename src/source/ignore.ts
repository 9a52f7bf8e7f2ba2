import { posix } from 'node:path';
import { BuildError } from '../errors.js';
import { BAD_PATTERN, goMatch } from './match.js';

/** Whether a path, relative to the source and without leading slash, is left out of the build together with what is below it. */
export type Ignore = (path: string) => boolean;

interface Rule {
	readonly parts: readonly string[];
	readonly ignores: boolean;
}

const MAX_RULES = 10_000;

/**
 * The rules of a `.s2iignore`: `#` comments, Go's glob syntax anchored at the source root, `!` takes a match back, the last match
 * decides. Patterns that leave the source match nothing. Nothing below an ignored directory can be taken back.
 * Throws SOURCE_INVALID with the line number for a malformed pattern.
 */
export function parseIgnore(text: string): Ignore {
	const rules = text.split('\n').flatMap((line, index) => parseRule(line.trim(), index + 1));
	if (rules.length > MAX_RULES) {
		throw new BuildError('SOURCE_INVALID', `.s2iignore has more than ${MAX_RULES} rules`, {
			hint: 'Use patterns instead of one line for each file.',
		});
	}
	return (path) => {
		const parts = path.split('/');
		return rules.findLast((rule) => matches(rule, parts))?.ignores ?? false;
	};
}

function parseRule(line: string, number: number): readonly Rule[] {
	if (line === '' || line.startsWith('#')) return [];
	const ignores = !line.startsWith('!');
	const pattern = (ignores ? line : line.slice(1)).trim();
	const parts = posix
		.normalize(pattern)
		.split('/')
		.filter((part) => part !== '' && part !== '.');
	if (parts.some((part) => goMatch(part, '') === BAD_PATTERN)) {
		throw new BuildError(
			'SOURCE_INVALID',
			`.s2iignore line ${number} is not a valid pattern: ${JSON.stringify(line.slice(0, 100))}`,
			{
				hint: 'Brackets must be closed, and a backslash needs a character behind it.',
			},
		);
	}
	return parts.length === 0 || parts[0] === '..' ? [] : [{ parts, ignores }];
}

function matches(rule: Rule, parts: readonly string[]): boolean {
	if (rule.parts.length !== parts.length) return false;
	return parts.every((part, index) => goMatch(rule.parts[index] ?? '', part) === true);
}
