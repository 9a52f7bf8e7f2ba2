import { BuildError } from '../errors.js';
import { absolutePath } from '../host-path.js';
import { redact } from '../redact.js';
import { closest } from './closest.js';

/** USAGE for a value that an option cannot take; the value is redacted. */
export function impossible(option: string, text: string, hint: string): BuildError {
	return new BuildError('USAGE', `${option} does not take ${JSON.stringify(redact(text).slice(0, 100))}`, { hint });
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
export function readBytes(hint: string): (text: string, option: string) => number {
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

/** Reads a URL of one of `schemes`. Throws USAGE with `hint`. */
export function readUrl(schemes: readonly string[], hint: string): (text: string, option: string) => string {
	return (text, option) => {
		if (schemes.some((scheme) => text.startsWith(`${scheme}://`) && text.length > scheme.length + 3)) return text;
		throw impossible(option, text, hint);
	};
}
