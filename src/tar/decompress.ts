import { closeSync, createWriteStream, openSync, readSync, rmSync } from 'node:fs';
import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, type ZstdDecompress } from 'node:zlib';
import { BuildError, messageOf } from '../errors.js';
import { openNativeZstd } from './native-zstd.js';

export type Compression = 'none' | 'gzip' | 'zstd';

const CHUNK = 256 * 1024;
/** Lets inflating, which runs in libuv's pool, go on while what it made is being written to disk. */
const READ_AHEAD = 4 * CHUNK;
const OPTIONS = { chunkSize: CHUNK, readableHighWaterMark: READ_AHEAD };
const MAX_IDLE_YIELDS = 8;

/**
 * The uncompressed bytes of `input`. Where Node's own decoder of zstd cannot be used, that is first written to the file `spool`, which is
 * removed again, because the other one reads synchronously. Throws LAYER_INVALID on damaged input. A chunk is valid until the next one is
 * asked for.
 */
export async function* decompress(
	compression: Compression,
	input: AsyncIterable<Buffer>,
	spool: string,
	signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
	try {
		if (compression === 'none') yield* input;
		else if (compression === 'gzip') yield* through(createGunzip(OPTIONS), input, signal);
		else {
			const native = await openNativeZstd(OPTIONS);
			yield* native === undefined ? unzstdSpooled(input, spool, signal) : unzstdNative(native, input, signal);
		}
	} catch (error) {
		throw isDamage(error) ? damaged(compression, error) : error;
	}
}

async function* through(
	output: Transform,
	input: AsyncIterable<Buffer>,
	signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
	const fed = pipeline(Readable.from(input, { objectMode: true, highWaterMark: 4 }), output, { signal });
	fed.catch(() => undefined);
	try {
		for await (const chunk of output) yield chunk as Buffer;
	} finally {
		output.destroy();
	}
	await fed;
}

async function* unzstdNative(
	decoder: ZstdDecompress,
	input: AsyncIterable<Buffer>,
	signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
	let fed = 0;
	const counted = async function* () {
		for await (const chunk of input) {
			fed += chunk.length;
			yield chunk;
		}
	};
	yield* through(decoder, counted(), signal);
	if (decoder.bytesWritten !== fed) throw new Error('ZSTD: bytes that are no frame follow the last one');
}

async function* unzstdSpooled(
	input: AsyncIterable<Buffer>,
	spool: string,
	signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
	try {
		await pipeline(input, createWriteStream(spool, { flags: 'wx', mode: 0o600 }), { signal });
		const { ZSTDDecoder } = await import('zstddec/stream');
		const decoder = new ZSTDDecoder();
		await decoder.init();
		yield* decodeFrames(decoder.decodeStreaming(readChunks(spool)), signal);
	} finally {
		rmSync(spool, { force: true });
	}
}

/** The decoder spins without output for ever on a corrupt frame; valid streams never yield nothing several times in a row. */
function* decodeFrames(frames: Generator<Uint8Array>, signal: AbortSignal): Generator<Buffer, void, undefined> {
	let idle = 0;
	for (const part of frames) {
		signal.throwIfAborted();
		idle = part.length === 0 ? idle + 1 : 0;
		if (idle > MAX_IDLE_YIELDS) throw new Error('ZSTD: corrupt frame');
		if (part.length > 0) yield Buffer.from(part.buffer, part.byteOffset, part.length);
	}
}

function* readChunks(path: string): Generator<Uint8Array, void, undefined> {
	const file = openSync(path, 'r');
	try {
		for (;;) {
			const chunk = Buffer.allocUnsafe(CHUNK);
			const size = readSync(file, chunk, 0, CHUNK, null);
			if (size === 0) return;
			yield chunk.subarray(0, size);
		}
	} finally {
		closeSync(file);
	}
}

function isDamage(error: unknown): boolean {
	if (!(error instanceof Error)) return false;
	const code = 'code' in error ? String(error.code) : '';
	return (
		code.startsWith('Z_') ||
		code.startsWith('ZSTD_') ||
		code === 'ERR_TRAILING_JUNK_AFTER_STREAM_END' ||
		/zstd|incomplete stream/i.test(error.message)
	);
}

/** A LAYER_INVALID error about compressed data. */
export function damaged(compression: Compression, cause: unknown): BuildError {
	return new BuildError('LAYER_INVALID', `a layer is not valid ${compression} data: ${messageOf(cause)}`, {
		hint: 'The image is damaged in its registry. Push it again, or use another tag.',
		cause,
	});
}
