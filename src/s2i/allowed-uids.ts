import { BuildError } from '../errors.js';
import { redact } from '../redact.js';

/** One run of allowed uids, both ends included; `last` is undefined for an open end. */
export interface UidRange {
	readonly first: number;
	readonly last: number | undefined;
}

const LARGEST = 2 ** 32 - 2;

/** The comma list of `n`, `n-m`, `n-` and `-m` of `--allowed-uids` (S2I's user ranges). Throws USAGE. */
export function parseAllowedUids(text: string): readonly UidRange[] {
	return text.split(',').map((part) => readRange(part.trim()));
}

/** Whether `uid` is in one of `ranges`. */
export function isAllowed(uid: number, ranges: readonly UidRange[]): boolean {
	return ranges.some(({ first, last }) => uid >= first && (last === undefined || uid <= last));
}

function readRange(part: string): UidRange {
	const [, from, dash, to] = /^(\d*)(-?)(\d*)$/.exec(part) ?? [];
	if (from === undefined || (from === '' && to === '')) throw invalid(part);
	const first = Number(from);
	const last = dash === '' ? first : to === '' ? LARGEST : Number(to);
	if (first > last || last > LARGEST) throw invalid(part);
	return { first, last: dash === '-' && to === '' ? undefined : last };
}

function invalid(part: string): BuildError {
	const message = `--allowed-uids: ${JSON.stringify(redact(part).slice(0, 50))} is not a range of uids`;
	return new BuildError('USAGE', message, {
		hint: 'Write a comma list of n, n-m, n- and -m; 1- is every user but root.',
	});
}
