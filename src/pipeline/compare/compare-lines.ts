import { countLines, keyOf, type MaskedLine, type MaskedRuns, maskNoise } from './lines.js';

/** What of two sides is not the same; undefined where a side has nothing. */
export interface Pair {
	readonly a: string | undefined;
	readonly b: string | undefined;
}

/** What a field of two images comes to. `masked` are examples of what was left out as noise. */
export interface Finding {
	/** `incomparable`: nothing of it is the same in two runs of one image. */
	readonly result: 'same' | 'differs' | 'incomparable';
	readonly pairs: readonly Pair[];
	readonly masked: readonly string[];
}

const MAX_PAIRS = 20;
const MAX_MASKED = 10;

/**
 * Compares the runs of two images, each a list of lines. What differs between runs of one image is masked on both sides. `ordered`: the
 * order of lines counts, unless it is not the same in all runs of an image.
 */
export function compareLines(
	a: readonly (readonly string[])[],
	b: readonly (readonly string[])[],
	ordered: boolean,
): Finding {
	if (new Set([...a, ...b].map((run) => JSON.stringify(run))).size === 1)
		return { result: 'same', pairs: [], masked: [] };
	const [left, right] = [maskNoise(a), maskNoise(b)];
	const noise = [...new Set([...left.noise, ...right.noise])].filter((word) => word !== '');
	const masked = noise.slice(0, MAX_MASKED);
	const pairs = [...(ordered ? findMoved(left, right) : []), ...findUnmatched(left, right)].slice(0, MAX_PAIRS);
	if (pairs.length > 0) return { result: 'differs', pairs, masked };
	return { result: hasContent(left) && hasContent(right) ? 'same' : 'incomparable', pairs, masked };
}

/** Whether any word is the same in all runs; nothing at all is the same, too. */
function hasContent({ runs }: MaskedRuns): boolean {
	const words = runs.flat().flatMap((line) => line.words);
	return (
		words.length === 0 || words.some((word) => word !== undefined && word !== '') || words.every((word) => word === '')
	);
}

/** A word that is noise on one side only may be any that it was there. */
function isSameLine(a: MaskedLine, b: MaskedLine, left: MaskedRuns, right: MaskedRuns): boolean {
	if (a.shape !== b.shape || a.words.length !== b.words.length) return false;
	return a.words.every((word, index) => {
		const other = b.words[index];
		if (word === other) return true;
		if (word === undefined) return other === undefined || left.noise.has(other);
		return other === undefined && right.noise.has(word);
	});
}

/** Where both sides have an order that is the same in all their runs, the first line that is another one. */
function findMoved(left: MaskedRuns, right: MaskedRuns): readonly Pair[] {
	const isSteady = (side: MaskedRuns) => new Set(side.runs.map((run) => JSON.stringify(run.map(keyOf)))).size === 1;
	if (!isSteady(left) || !isSteady(right)) return [];
	const [a = [], b = []] = [left.runs[0], right.runs[0]];
	// What is missing on a side is found without its place.
	if (a.length !== b.length || findUnmatched(left, right).length > 0) return [];
	const index = a.findIndex((line, at) => {
		const other = b[at];
		return other === undefined || !isSameLine(line, other, left, right);
	});
	return index < 0 ? [] : [{ a: a[index]?.text, b: b[index]?.text }];
}

/** Lines of both sides that are the same but for noise, with how often they are in each run. */
interface Group {
	readonly a: MaskedLine[];
	readonly b: MaskedLine[];
	readonly countsA: number[];
	readonly countsB: number[];
}

/** What is in every run of one side and never as often on the other. */
function findUnmatched(left: MaskedRuns, right: MaskedRuns): readonly Pair[] {
	const groups = groupLines(left, right).filter(({ countsA, countsB }) => !overlap(countsA, countsB));
	const missing = groups.filter(({ a, b }) => a.length > 0 && b.length === 0).map(({ a }) => a[0]);
	const surplus = groups.filter(({ a, b }) => a.length === 0 && b.length > 0).map(({ b }) => b[0]);
	const moreOften = groups.filter(({ a, b }) => a.length > 0 && b.length > 0);
	return [
		...pairUp(
			missing.flatMap((line) => line ?? []),
			surplus.flatMap((line) => line ?? []),
		),
		...moreOften.map(({ a, b, countsA, countsB }) => ({
			a: `${rangeOf(countsA)} times: ${a[0]?.text ?? ''}`,
			b: `${rangeOf(countsB)} times: ${b[0]?.text ?? ''}`,
		})),
	];
}

/** Each line beside the one of its shape, or else beside any. */
function pairUp(missing: readonly MaskedLine[], surplus: readonly MaskedLine[]): readonly Pair[] {
	const rest = [...surplus];
	const pairs = missing.map(({ text, shape }) => {
		const alike = rest.findIndex((line) => line.shape === shape);
		const [other] = rest.splice(alike < 0 ? 0 : alike, 1);
		return { a: text, b: other?.text };
	});
	return [...pairs, ...rest.map(({ text }) => ({ a: undefined, b: text }))];
}

function groupLines(left: MaskedRuns, right: MaskedRuns): readonly Group[] {
	const kinds = [kindsOf(left, 'a'), kindsOf(right, 'b')].flat();
	const byShape = Map.groupBy(kinds, ({ line }) => line.shape);
	return [...byShape.values()].flatMap((members) => joinSame(members, left, right));
}

interface Kind {
	readonly side: 'a' | 'b';
	readonly line: MaskedLine;
	readonly counts: readonly number[];
}

function kindsOf({ runs }: MaskedRuns, side: Kind['side']): readonly Kind[] {
	const counts = countLines(runs);
	const lines = Map.groupBy(runs.flat(), keyOf);
	return [...lines].flatMap(([key, [line]]) =>
		line === undefined ? [] : [{ side, line, counts: counts.get(key) ?? [] }],
	);
}

/** Joins what is the same, directly or by what lies between. */
function joinSame(kinds: readonly Kind[], left: MaskedRuns, right: MaskedRuns): readonly Group[] {
	const isSame = (one: Kind, other: Kind) =>
		one.side !== other.side &&
		(one.side === 'a' ? isSameLine(one.line, other.line, left, right) : isSameLine(other.line, one.line, left, right));
	const rest = new Set(kinds);
	const groups: Group[] = [];
	for (const kind of kinds) {
		if (!rest.delete(kind)) continue;
		const members = [kind];
		for (const member of members) {
			for (const other of rest) if (isSame(member, other) && rest.delete(other)) members.push(other);
		}
		groups.push(groupOf(members, left.runs.length, right.runs.length));
	}
	return groups;
}

function groupOf(members: readonly Kind[], runsA: number, runsB: number): Group {
	const sum = (side: Kind['side'], runs: number) =>
		Array.from({ length: runs }, (_, index) =>
			members.reduce((total, kind) => total + (kind.side === side ? (kind.counts[index] ?? 0) : 0), 0),
		);
	const linesOf = (side: Kind['side']) => members.filter((kind) => kind.side === side).map(({ line }) => line);
	return { a: linesOf('a'), b: linesOf('b'), countsA: sum('a', runsA), countsB: sum('b', runsB) };
}

function overlap(a: readonly number[], b: readonly number[]): boolean {
	return Math.min(...a) <= Math.max(...b) && Math.min(...b) <= Math.max(...a);
}

function rangeOf(counts: readonly number[]): string {
	const [least, most] = [Math.min(...counts), Math.max(...counts)];
	return least === most ? String(least) : `${least} to ${most}`;
}
