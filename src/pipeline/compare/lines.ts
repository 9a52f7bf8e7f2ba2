/** A line in which noise is masked. */
export interface MaskedLine {
	readonly text: string;
	/** Its separators: lines with others are never the same. */
	readonly shape: string;
	/** Undefined is noise. */
	readonly words: readonly (string | undefined)[];
}

/** All runs of one image, with what differs between them masked. */
export interface MaskedRuns {
	readonly runs: readonly (readonly MaskedLine[])[];
	/** Every word that was masked somewhere. */
	readonly noise: ReadonlySet<string>;
}

const SEPARATORS = /([\s"'`<>()[\]{},;=&|]+)/;
/** How much of two lines must be equal for what differs in them to be the same noise. */
const ALIKE = 0.5;

/**
 * Masks what is noise: a word that is not in each of `runs`, and of lines that are not in each of them, the words in which they differ from
 * the line of another run that is most like them.
 */
export function maskNoise(runs: readonly (readonly string[])[]): MaskedRuns {
	const split = runs.map((run) => run.map(splitLine));
	const vocabularies = split.map((run) => new Set(run.flatMap(({ words }) => words)));
	const noise = new Set<string>();
	const isStable = (word: string) => vocabularies.every((vocabulary) => vocabulary.has(word));
	const mask = (word: string | undefined) => {
		if (word === undefined || isStable(word)) return word;
		noise.add(word);
		return undefined;
	};
	const first = split.map((run) => run.map((line) => ({ ...line, words: line.words.map(mask) })));
	return { runs: maskAlike(first, noise), noise };
}

interface Pattern {
	words: readonly (string | undefined)[];
	readonly lines: MaskedLine[];
}

/** Lines that are not as often in each run become one pattern with those of their shape that are like them. */
function maskAlike(runs: readonly (readonly MaskedLine[])[], noise: Set<string>): readonly (readonly MaskedLine[])[] {
	const counts = countLines(runs);
	const isSteady = (line: MaskedLine) => {
		const each = counts.get(keyOf(line)) ?? [];
		return each.every((count) => count === each[0]);
	};
	const patterns = new Map<string, Pattern[]>();
	for (const line of runs.flat().filter((each) => !isSteady(each))) {
		const group = patterns.get(line.shape) ?? [];
		patterns.set(line.shape, group);
		const found = group.find(({ words }) => likeness(words, line.words) >= ALIKE);
		if (found === undefined) group.push({ words: line.words, lines: [line] });
		else {
			found.words = found.words.map((word, index) => (word === line.words[index] ? word : undefined));
			found.lines.push(line);
		}
	}
	const masked = new Map<MaskedLine, MaskedLine>();
	for (const { words, lines } of [...patterns.values()].flat()) {
		for (const line of lines) {
			for (const [index, word] of line.words.entries())
				if (words[index] === undefined && word !== undefined) noise.add(word);
			masked.set(line, { ...line, words });
		}
	}
	return runs.map((run) => run.map((line) => masked.get(line) ?? line));
}

function likeness(a: MaskedLine['words'], b: MaskedLine['words']): number {
	if (a.length === 0) return 1;
	return a.filter((word, index) => word === undefined || b[index] === undefined || word === b[index]).length / a.length;
}

function splitLine(text: string): MaskedLine & { readonly words: readonly string[] } {
	const parts = text.split(SEPARATORS);
	const words = parts.filter((_, index) => index % 2 === 0);
	return { text, shape: parts.filter((_, index) => index % 2 === 1).join('\0'), words };
}

/** Equal for lines that are equal but for noise. */
export function keyOf({ shape, words }: MaskedLine): string {
	return JSON.stringify([shape, words.map((word) => word ?? null)]);
}

/** How often each line is in each run. */
export function countLines(runs: readonly (readonly MaskedLine[])[]): ReadonlyMap<string, readonly number[]> {
	const counts = new Map<string, number[]>();
	for (const [index, run] of runs.entries()) {
		for (const line of run) {
			const each = counts.get(keyOf(line)) ?? runs.map(() => 0);
			each[index] = (each[index] ?? 0) + 1;
			counts.set(keyOf(line), each);
		}
	}
	return counts;
}
