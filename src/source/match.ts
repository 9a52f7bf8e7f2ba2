/** A pattern that is not a valid one, such as `[a` or a trailing backslash. */
export const BAD_PATTERN: unique symbol = Symbol('bad pattern');

type Step = { readonly rest: number; readonly pattern: number } | undefined | typeof BAD_PATTERN;

/**
 * Go's `filepath.Match`: `*` and `?` match anything but `/`, `[a-z]` and `[^a-z]` one character, a backslash takes the next
 * character as it is. The whole of `name` must match. Time is at most quadratic in the lengths, whatever the pattern.
 */
export function goMatch(pattern: string, name: string): boolean | typeof BAD_PATTERN {
	const glob = parseGlob(pattern);
	return glob === BAD_PATTERN ? BAD_PATTERN : matchGlob(glob, Array.from(name), { left: Number.POSITIVE_INFINITY });
}

/** A pattern by its characters, known to be one. */
export type Glob = readonly string[] & { readonly __brand: 'Glob' };

/** How many steps matching may still take, here and wherever else it is given. */
export interface Steps {
	left: number;
}

/** `pattern` for {@link matchGlob}. */
export function parseGlob(pattern: string): Glob | typeof BAD_PATTERN {
	const glob = Array.from(pattern);
	return isPattern(glob) ? (glob as readonly string[] as Glob) : BAD_PATTERN;
}

/** As {@link goMatch}, for the characters of a name. Takes what it needs of `steps`, and is false when nothing is left. */
export function matchGlob(glob: Glob, text: readonly string[], steps: Steps): boolean {
	let at = 0;
	let from = 0;
	let star: { readonly pattern: number; readonly text: number } | undefined;
	while (at < text.length || from < glob.length) {
		steps.left -= 1;
		if (steps.left < 0) return false;
		if (glob[from] === '*') {
			star = { pattern: from, text: at };
			from += 1;
			continue;
		}
		const step = from < glob.length ? matchOne(glob, from, text, at) : undefined;
		if (step !== undefined && step !== BAD_PATTERN) {
			at = step.rest;
			from = step.pattern;
			continue;
		}
		if (star === undefined || star.text >= text.length || text[star.text] === '/') return false;
		star = { pattern: star.pattern, text: star.text + 1 };
		at = star.text;
		from = star.pattern + 1;
	}
	return true;
}

function isPattern(glob: readonly string[]): boolean {
	let from = 0;
	while (from < glob.length) {
		const end = glob[from] === '*' ? from + 1 : matchOne(glob, from, ['a'], 0, true);
		if (end === BAD_PATTERN || end === undefined) return false;
		from = typeof end === 'number' ? end : end.pattern;
	}
	return true;
}

/** One pattern element at `from` against the character at `at`; `always` only looks where the element ends. */
function matchOne(glob: readonly string[], from: number, text: readonly string[], at: number, always = false): Step {
	const char = text[at];
	const next = (length: number, matches: boolean): Step =>
		always || (char !== undefined && matches) ? { rest: at + 1, pattern: from + length } : undefined;
	switch (glob[from] ?? '') {
		case '?':
			return next(1, char !== '/');
		case '[':
			return matchClass(glob, from, char, next);
		case '\\':
			return from + 1 < glob.length ? next(2, glob[from + 1] === char) : BAD_PATTERN;
		default:
			return next(1, glob[from] === char);
	}
}

function matchClass(
	glob: readonly string[],
	from: number,
	char: string | undefined,
	next: (length: number, matches: boolean) => Step,
): Step {
	const negated = glob[from + 1] === '^';
	let at = from + (negated ? 2 : 1);
	let found = false;
	for (let ranges = 0; ; ranges += 1) {
		if (glob[at] === ']' && ranges > 0) return next(at + 1 - from, found !== negated);
		const low = readRangeEnd(glob, at);
		if (low === undefined) return BAD_PATTERN;
		const high = glob[low.end] === '-' ? readRangeEnd(glob, low.end + 1) : low;
		if (high === undefined) return BAD_PATTERN;
		found ||= char !== undefined && codeOf(low.char) <= codeOf(char) && codeOf(char) <= codeOf(high.char);
		at = high.end;
	}
}

function readRangeEnd(
	glob: readonly string[],
	at: number,
): { readonly char: string; readonly end: number } | undefined {
	if (glob[at] === '-' || glob[at] === ']') return undefined;
	const start = glob[at] === '\\' ? at + 1 : at;
	const char = glob[start];
	// Go finds a class that ends the pattern before its bracket to be malformed, even inside a range.
	return char === undefined || start + 1 >= glob.length ? undefined : { char, end: start + 1 };
}

function codeOf(char: string): number {
	return char.codePointAt(0) ?? 0;
}
