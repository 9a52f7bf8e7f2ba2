/**
 * What `work` resolves with for each of `items`, in their order; at most `atOnce` at the same time, begun in order. Rejects as soon as one
 * does, and begins no more then.
 */
export async function inParallel<T, R>(
	atOnce: number,
	items: readonly T[],
	work: (item: T, index: number) => Promise<R>,
): Promise<readonly R[]> {
	const results: R[] = [];
	const left = items.entries();
	let isOver = false;
	const worker = async (): Promise<void> => {
		for (const [index, item] of left) {
			if (isOver) return;
			results[index] = await work(item, index);
		}
	};
	try {
		await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
	} finally {
		isOver = true;
	}
	return results;
}
