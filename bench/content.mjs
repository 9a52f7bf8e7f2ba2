// Files that are the same in each run: of text that compresses as programs do.
const WORDS = 'function module exports require const return value index length prototype undefined string'.split(' ');
const POOL_BYTES = 4 << 20;
let pool;

/** Numbers from 0 to below `limit`, the same ones for the same seed. */
export function numbers(seed) {
	let state = seed;
	return (limit) => {
		state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
		return Math.floor((state / 0x80000000) * limit);
	};
}

/** `count` files of `least` to `most` bytes below `parent`, as tar entries of the layout scripts: 25 in a directory. */
export function* generateFiles({ parent, count, least, most, seed = 1 }) {
	const next = numbers(seed);
	pool ??= makePool();
	for (let index = 0; index < count; index++) {
		const directory = `${parent}/package-${Math.floor(index / 25)}`;
		if (index % 25 === 0) yield { name: directory, type: '5', mode: 0o755 };
		const size = least + next(most - least + 1);
		const start = next(POOL_BYTES - size);
		const content = pool.subarray(start, start + size);
		yield { name: `${directory}/file-${index}.js`, type: '0', mode: 0o644, content };
	}
}

/** `size` bytes of the same text. */
export function generateText(size) {
	pool ??= makePool();
	return Buffer.concat(Array.from({ length: Math.ceil(size / POOL_BYTES) }, () => pool)).subarray(0, size);
}

function makePool() {
	const next = numbers(1);
	let text = '';
	while (text.length < POOL_BYTES) {
		text += `${WORDS[next(WORDS.length)]} ${next(1000)}${next(10) === 0 ? ';\n' : ' '}`;
	}
	return Buffer.from(text.slice(0, POOL_BYTES));
}
