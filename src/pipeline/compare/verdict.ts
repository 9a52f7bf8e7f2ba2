import { compareLines, type Finding, type Pair } from './compare-lines.js';
import { type Field, KINDS, type Kind, type Transcript, type Value } from './transcript.js';

/** How much more of a figure is no difference. */
export interface Tolerance {
	/** `startup` and `memory`: how many times as much. */
	readonly startup: number;
	readonly memory: number;
}

/** What is looked at of the differences. */
export interface CompareOptions {
	readonly tolerate: Tolerance;
	/** Fields whose name, or differences whose text has one of these in it, are left out. */
	readonly ignore: readonly string[];
}

/** One difference, with the values of both images. */
export interface Difference extends Pair {
	readonly kind: Kind;
	readonly field: string;
}

/** What a comparison comes to. */
export interface Verdict {
	readonly verdict: 'same' | 'differs' | 'cannot tell';
	/** In order of weight. */
	readonly differences: readonly Difference[];
	/** Packages and labels that are not the same, which decide nothing. */
	readonly underneath: readonly Difference[];
	/** What differs between runs of one image, and was left out. */
	readonly masked: readonly { readonly field: string; readonly examples: readonly string[] }[];
	/** Fields of which nothing could be compared. */
	readonly incomparable: readonly string[];
	/** Fields that were left out because somebody asked for it. */
	readonly ignored: readonly string[];
}

/** Of these, a field that cannot be compared leaves the whole undecided. */
const DECISIVE: ReadonlySet<Kind> = new Set(['start', 'status', 'port', 'stop']);
/** What an image is made of, and what it is called: not what it does. */
const UNDERNEATH: ReadonlySet<Kind> = new Set(['label', 'package']);
/** What programs print by chance. */
const NOISY: ReadonlySet<Kind> = new Set(['body', 'output', 'header', 'process', 'file', 'figure']);
/** What a figure may be more by, however small it is. */
const SLACK = { ms: 1000, bytes: 16 << 20 } as const;

/** Compares the transcripts of at least one run of each image. What differs between the runs of one image is no difference of the two. */
export function judge(a: readonly Transcript[], b: readonly Transcript[], options: CompareOptions): Verdict {
	const names = new Map([...a, ...b].flat().map((field) => [field.name, field]));
	const ordered = [...names.values()].sort((one, other) => KINDS.indexOf(one.kind) - KINDS.indexOf(other.kind));
	const differences: Difference[] = [];
	const masked: { field: string; examples: readonly string[] }[] = [];
	const incomparable: Field[] = [];
	const ignored: string[] = [];
	for (const field of ordered) {
		const { name, kind } = field;
		const has = (text: string | undefined) => options.ignore.some((pattern) => text?.includes(pattern) === true);
		const found = compareField(valuesOf(a, name), valuesOf(b, name), options.tolerate);
		const kept = has(name) ? [] : found.pairs.filter((pair) => !has(pair.a) && !has(pair.b));
		if (kept.length < found.pairs.length) ignored.push(name);
		differences.push(...kept.map((pair) => ({ kind, field: name, ...pair })));
		if (found.masked.length > 0) masked.push({ field: name, examples: found.masked });
		if (found.result === 'incomparable' && !has(name)) incomparable.push(field);
	}
	const undecided = incomparable.some(({ kind }) => DECISIVE.has(kind));
	const [underneath, decisive] = [true, false].map((beside) =>
		differences.filter(({ kind }) => UNDERNEATH.has(kind) === beside),
	) as [Difference[], Difference[]];
	const verdict = decisive.length > 0 ? 'differs' : undecided ? 'cannot tell' : 'same';
	return {
		verdict,
		differences: decisive,
		underneath,
		masked,
		incomparable: incomparable.map(({ name }) => name),
		ignored,
	};
}

/** Whether more runs could still show that the differences which runs have found are noise. */
export function mayBeNoise({ differences }: Verdict): boolean {
	return differences.some(({ kind }) => NOISY.has(kind)) && !differences.some(({ kind }) => DECISIVE.has(kind));
}

function valuesOf(runs: readonly Transcript[], name: string): readonly (Value | undefined)[] {
	return runs.map((run) => run.find((field) => field.name === name)?.value);
}

type Values = readonly (Value | undefined)[];

function compareField(a: Values, b: Values, tolerate: Tolerance): Finding {
	const all = [...a, ...b];
	const first = all.find((value) => value !== undefined);
	if (first?.type === 'figure') return compareFigures(figuresOf(a), figuresOf(b), first.unit, tolerate);
	if (all.every((value) => value?.type === 'unread')) return { result: 'incomparable', pairs: [], masked: [] };
	if (first?.type === 'lines' && all.every((value) => value !== undefined))
		return compareLines(linesOf(a), linesOf(b), first.ordered);
	return compareWords(a.map(wordOf), b.map(wordOf));
}

function figuresOf(values: Values): readonly number[] {
	return values.flatMap((value) => (value?.type === 'figure' ? [value.amount] : []));
}

function linesOf(values: Values): readonly (readonly string[])[] {
	return values.map((value) => (value?.type === 'lines' ? value.lines : []));
}

function wordOf(value: Value | undefined): string | undefined {
	if (value === undefined || value.type === 'figure') return undefined;
	if (value.type === 'unread') return 'something that cannot be read';
	return value.type === 'word' ? value.word : `${value.lines.length} lines`;
}

/** A word that is not the same in all runs of an image cannot be compared, unless the other image never has any of them. */
function compareWords(a: readonly (string | undefined)[], b: readonly (string | undefined)[]): Finding {
	const [left, right] = [new Set(a), new Set(b)];
	if (!a.some((word) => right.has(word))) {
		const join = (words: ReadonlySet<string | undefined>) => [...words].map((word) => word ?? 'nothing').join(' or ');
		return { result: 'differs', pairs: [{ a: join(left), b: join(right) }], masked: [] };
	}
	if (left.size === 1 && right.size === 1) return { result: 'same', pairs: [], masked: [] };
	const masked = [...new Set([...a, ...b])].map((word) => word ?? 'nothing');
	return { result: 'incomparable', pairs: [], masked };
}

function compareFigures(
	a: readonly number[],
	b: readonly number[],
	unit: 'ms' | 'bytes',
	{ startup, memory }: Tolerance,
): Finding {
	const factor = unit === 'ms' ? startup : memory;
	const [least, most] = [Math.min(...b), Math.max(...a)];
	const isMore = a.length > 0 && b.length > 0 && least > most * factor && least > most + SLACK[unit];
	const text = (amount: number) =>
		unit === 'ms' ? `${(amount / 1000).toFixed(1)} s` : `${Math.ceil(amount / 1e6)} MB`;
	return { result: isMore ? 'differs' : 'same', pairs: isMore ? [{ a: text(most), b: text(least) }] : [], masked: [] };
}
