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
