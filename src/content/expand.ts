import { open } from 'node:fs/promises';
import { BuildError } from '../errors.js';
import { type Compression, decompress } from '../tar/decompress.js';
import { sniffCompression, takeStart } from '../tar/sniff.js';

/** What a compressed archive may always grow to, and how often its own size beyond that. */
const FLOOR = 64 * 2 ** 30;
const MAX_RATIO = 200;

/** How an archive that begins with `start` is compressed, whatever its name. Throws IMAGE_UNSUPPORTED for bzip2 and xz. */
export function sniffArchive(start: Buffer): Compression {
	const found = sniffCompression(start);
	if (found !== 'bzip2' && found !== 'xz') return found;
	throw new BuildError('IMAGE_UNSUPPORTED', `image archives compressed with ${found} are not supported`, {
		hint: `Decompress it first, with ${found} -d, or compress it with gzip or zstd.`,
	});
}

/**
 * Writes the uncompressed bytes of `input` to the new file `path`. Throws LAYER_INVALID for damaged input and for what grows beyond 64 GiB
 * and 200 times its size, and what the file system says.
 */
export async function expand(input: AsyncIterable<Buffer>, path: string, signal: AbortSignal): Promise<void> {
	let [taken, made] = [0, 0];
	const counted = async function* () {
		for await (const chunk of input) {
			taken += chunk.length;
			yield chunk;
		}
	};
	const { start, all } = await takeStart(counted());
	const file = await open(path, 'wx', 0o600);
	try {
		for await (const chunk of decompress(sniffArchive(start), all, `${path}.spool`, signal)) {
			signal.throwIfAborted();
			made += chunk.length;
			if (made > Math.max(FLOOR, taken * MAX_RATIO)) throw bomb();
			await file.writeFile(chunk);
		}
	} finally {
		await file.close();
	}
}

function bomb(): BuildError {
	return new BuildError('LAYER_INVALID', 'an archive cannot be used: it grows beyond 64 GiB and 200 times its size', {
		hint: 'No image grows so much.',
	});
}
