import { buffer } from 'node:stream/consumers';
import { createZstdDecompress, type ZstdDecompress, type ZstdOptions } from 'node:zlib';

/** Frames of RFC 8878: `hello ` twenty times with a checksum, `second` without one, and a skippable frame. */
const HELLO = Buffer.from('KLUv/QRYbQAAMGhlbGxvIAEAL2kpAno+fCg=', 'base64');
const SECOND = Buffer.from('KLUv/QBYMQAAc2Vjb25k', 'base64');
const SKIPPABLE = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);
const WHOLE = Buffer.concat([SKIPPABLE, HELLO, SKIPPABLE, SECOND, SKIPPABLE]);
const EXPECTED = `${'hello '.repeat(20)}second`;

let tried: Promise<boolean> | undefined;

/**
 * Node's own zstd decoder, where it is right in a trial; else undefined. That of Node 22.19 ends without an error after the first of
 * several small frames, at a skippable one, and where the input was cut. All of them pass over what is no frame: only their `bytesWritten`
 * tells that there was more.
 */
export async function openNativeZstd(options: ZstdOptions): Promise<ZstdDecompress | undefined> {
	tried ??= isRight();
	return (await tried) ? createZstdDecompress(options) : undefined;
}

async function isRight(): Promise<boolean> {
	const results = await Promise.all([
		decode(WHOLE),
		decode(WHOLE.subarray(0, SKIPPABLE.length + HELLO.length - 6)),
		decode(Buffer.concat([HELLO, Buffer.from('rubbish, and more of it')])),
		decode(Buffer.concat([HELLO.subarray(0, -1), Buffer.from([0])])),
	]);
	return results[0] === EXPECTED && results.slice(1).every((result) => result === undefined);
}

/** Undefined when the decoder refuses `input`. */
async function decode(input: Buffer): Promise<string | undefined> {
	const decoder = createZstdDecompress();
	decoder.end(input);
	try {
		const text = (await buffer(decoder)).toString('latin1');
		return decoder.bytesWritten === input.length ? text : undefined;
	} catch {
		return undefined;
	}
}
