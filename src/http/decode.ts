import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';

/** How content that is a gzip file of its own is told from content that is only transferred as one. */
export interface DecodeOptions {
	/** The content-encoding header. */
	readonly encoding: string | undefined;
	/** Whether the content is expected to be a gzip file itself: servers name its compression as the encoding of its transfer. */
	readonly isGzip: boolean;
}

const DECODERS: Readonly<Record<string, () => zlib.Gunzip | zlib.Inflate | zlib.BrotliDecompress>> = {
	gzip: zlib.createGunzip,
	'x-gzip': zlib.createGunzip,
	deflate: zlib.createInflate,
	br: zlib.createBrotliDecompress,
};

const GZIP_NAME = /\.(?:t?gz|taz)$/i;
const GZIP_TYPE = /^application\/(?:x-)?(?:gzip|tgz|tar\+gzip|gtar-compressed|compressed-tar)\b/i;

/** Whether what `url` names is a gzip file, by its name or its content-type header. */
export function isGzipFile(url: URL, type = ''): boolean {
	return GZIP_NAME.test(url.pathname) || GZIP_TYPE.test(type);
}

/** `chunks`, which are made of `body`, as a stream of bytes: whoever destroys it destroys both. */
export function passOn(body: Readable, chunks: AsyncIterable<Uint8Array>): Readable {
	const stream = Readable.from(chunks, { objectMode: false });
	body.on('error', () => undefined);
	stream.once('close', () => body.destroy());
	return stream;
}

/** Whether a body with this content-encoding header has to be decoded (RFC 9110 8.4). */
export function isEncoded(encoding: string | undefined): boolean {
	return decoderOf(encoding) !== undefined;
}

/**
 * `chunks` without the encoding of their transfer, which a server or proxy may use although `identity` alone was asked for. What says that
 * it is gzip and is not stays as it is, and so does a gzip file below which there is no second one.
 */
export async function* decodeChunks(
	chunks: AsyncIterable<Buffer>,
	{ encoding, isGzip }: DecodeOptions,
): AsyncGenerator<Buffer, void, undefined> {
	const decoder = decoderOf(encoding);
	const iterator = chunks[Symbol.asyncIterator]();
	const first = await iterator.next();
	const all = again(first, iterator);
	if (decoder === undefined || first.done === true || staysAsIs(first.value, encoding ?? '', isGzip)) {
		yield* all;
		return;
	}
	const decoding = decoder();
	const done = pipeline(Readable.from(all, { objectMode: false }), decoding);
	done.catch(() => undefined);
	yield* decoding as AsyncIterable<Buffer>;
	await done;
}

async function* again(
	first: IteratorResult<Buffer>,
	iterator: AsyncIterator<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
	if (first.done === true) return;
	yield first.value;
	yield* { [Symbol.asyncIterator]: () => iterator };
}

function decoderOf(encoding: string | undefined): (typeof DECODERS)[string] | undefined {
	const name = encoding?.trim().toLowerCase() ?? '';
	return Object.hasOwn(DECODERS, name) ? DECODERS[name] : undefined;
}

function staysAsIs(beginning: Buffer, encoding: string, isGzip: boolean): boolean {
	if (!/gzip/i.test(encoding)) return false;
	return !hasGzipMagic(beginning) || (isGzip && !hasGzipMagic(inflateBeginning(beginning)));
}

function hasGzipMagic(bytes: Buffer): boolean {
	return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function inflateBeginning(bytes: Buffer): Buffer {
	try {
		const some = bytes.subarray(0, 4096);
		return zlib.gunzipSync(some, { finishFlush: zlib.constants.Z_SYNC_FLUSH });
	} catch {
		return Buffer.alloc(0);
	}
}
