import { BuildError } from '../errors.js';
import { absolutePath } from '../host-path.js';
import { redactWord } from '../redact.js';

/** USAGE for a value that an option cannot take; the value is redacted. */
export function impossible(option: string, text: string, hint: string): BuildError {
	return new BuildError('USAGE', `${option} does not take ${JSON.stringify(redactWord(text).slice(0, 100))}`, { hint });
}

/** `text` as one of `words`. Throws USAGE that names `option`. */
export function oneOf<T extends string>(option: string, words: readonly T[], text: string): T {
	const word = words.find((each) => each === text);
	if (word !== undefined) return word;
	const near = closest(text, words);
	throw impossible(option, text, near === undefined ? `Use one of ${words.join(', ')}.` : `Did you mean ${near}?`);
}

/** A path as it was typed. Throws USAGE when it begins at a working directory that is gone. */
export function readPath(text: string): string {
	absolutePath(text);
	return text;
}

/** The first of `values` that is neither undefined nor empty. */
export function firstSet(...values: readonly (string | undefined)[]): string | undefined {
	return values.find((value) => value !== undefined && value !== '');
}

const MS: Readonly<Record<string, number>> = {
	ms: 1,
	s: 1000,
	m: 60_000,
	h: 3_600_000,
	d: 86_400_000,
	w: 7 * 86_400_000,
};

/** What a duration may be, in ms. */
export interface DurationBounds {
	/** The unit of a last amount without one; by default there must be one. */
	readonly bare?: 's';
	readonly least?: number;
	readonly most?: number;
}

/** Reads `90s`, `10m`, `1h30m`, `1.5d` as ms. Throws USAGE with `hint`. */
export function readDuration(
	hint: string,
	{ bare, least = 0, most = Number.MAX_SAFE_INTEGER }: DurationBounds = {},
): (text: string, option: string) => number {
	return (text, option) => {
		const parts = [...text.matchAll(/(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d|w|$)/g)];
		const units = parts.map(
			([, amount, unit = '']) => Number(amount) * (MS[unit === '' ? (bare ?? '') : unit] ?? Number.NaN),
		);
		const ms = Math.round(units.reduce((sum, each) => sum + each, 0));
		if (parts.map(([part]) => part).join('') === text && ms >= least && ms <= most) return ms;
		throw impossible(option, text, hint);
	};
}

const POWERS = 'kmgt';

/** Reads `5368709120`, `512m`, `1.5G`, `2GiB` as bytes: units are of 1024, whatever they are called. Throws USAGE with `hint`. */
export function readSize(hint: string): (text: string, option: string) => number {
	return (text, option) => {
		const [, amount, unit = ''] = /^(\d{1,15}(?:\.\d{1,3})?)([kmgt]?)(?:i?b)?$/i.exec(text) ?? [];
		const bytes = Math.round(Number(amount) * 1024 ** (POWERS.indexOf(unit.toLowerCase() || '-') + 1));
		if (Number.isSafeInteger(bytes)) return bytes;
		throw impossible(option, text, hint);
	};
}

/** Reads a number above 0 of the given form. Throws USAGE with `hint`. */
export function readNumber(form: RegExp, hint: string): (text: string, option: string) => number {
	return (text, option) => {
		if (form.test(text) && Number(text) > 0) return Number(text);
		throw impossible(option, text, hint);
	};
}

/** Reads a URL of one of `schemes`. Throws USAGE with `hint`, which shows nothing of what may be a secret as a whole. */
export function readUrl(
	schemes: readonly string[],
	hint: string,
	{ isSecret = false }: { readonly isSecret?: boolean } = {},
): (text: string, option: string) => string {
	return (text, option) => {
		const isOne = schemes.some((scheme) => text.startsWith(`${scheme}://`) && text.length > scheme.length + 3);
		if (isOne && (!/^https?:/.test(text) || URL.canParse(text))) return text;
		throw isSecret
			? new BuildError('USAGE', `${option} does not take such a URL`, { hint })
			: impossible(option, text, hint);
	};
}

/** How progress can be reported; the first is the default. */
export const LOG_FORMATS = ['auto', 'tty', 'plain', 'json'] as const;

/** How much is reported, each level with what it adds. */
export const LOG_LEVELS: readonly string[] = ['0', '1', '2', '3', '4', '5'];

/** The forms of what a callback gets; the first is the default, but under the name `sti`. */
export const CALLBACK_FORMATS = ['s2i', 'sti'] as const;

/** What `s2oci convert` writes for. */
export const TARGET_ENGINES = ['shipwright', 'tekton', 'gitlab', 'github'] as const;

/** What assemble can reach; the first is the default. */
export const NETWORKS = ['host', 'none'] as const;

/** `words` for a sentence, each with its note: `auto, tty (on a terminal) or json`. */
export function listed(words: readonly string[], notes: Readonly<Record<string, string>> = {}): string {
	const noted = words.map((word) => (notes[word] === undefined ? word : `${word} (${notes[word]})`));
	return `${noted.slice(0, -1).join(', ')} or ${noted.at(-1) ?? ''}`;
}

/** The one of `candidates` that `word` is most likely a misspelling of; undefined when none is near. */
export function closest(word: string, candidates: readonly string[]): string | undefined {
	const limit = Math.max(1, Math.floor(word.length / 3));
	const near = candidates
		.map((candidate) => ({ candidate, distance: editDistance(word.slice(0, 50), candidate) }))
		.filter(({ distance }) => distance <= limit)
		.sort((a, b) => a.distance - b.distance);
	return near[0]?.candidate;
}

/** Levenshtein distance, with the swap of two neighbours counted as one edit. */
function editDistance(a: string, b: string): number {
	const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
	for (let row = 1; row <= a.length; row += 1) {
		const current = [row];
		for (let column = 1; column <= b.length; column += 1) {
			const at = (up: number, left: number) => rows[row - up]?.[column - left] ?? 0;
			const change = a[row - 1] === b[column - 1] ? 0 : 1;
			const best = Math.min(at(1, 0) + 1, (current[column - 1] ?? 0) + 1, at(1, 1) + change);
			const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
			current.push(isSwap ? Math.min(best, at(2, 2) + 1) : best);
		}
		rows.push(current);
	}
	return rows[a.length]?.[b.length] ?? 0;
}
