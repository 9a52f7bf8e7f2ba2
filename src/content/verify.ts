import { Readable } from 'node:stream';
import { BuildError, isBuildError, messageOf } from '../errors.js';
import type { Descriptor } from '../oci/descriptor.js';
import { algorithmOf, type Digest, finishDigest, hasherFor } from '../oci/digest.js';
import { redact } from '../redact.js';

const HINT =
	'The content was damaged on its way or where it is stored; try again, then look at the registry, proxy or disk.';

/**
 * The chunks of `content`, failing with DIGEST_MISMATCH instead of ending when their size or digest is not that of `blob`, and as
 * soon as there are more bytes than `blob.size`. `what` names the content in messages.
 */
export async function* verifyChunks(
	content: AsyncIterable<Uint8Array>,
	blob: Pick<Descriptor, 'digest' | 'size'>,
	what: string,
): AsyncGenerator<Uint8Array, void, undefined> {
	const hash = hasherFor(blob.digest);
	let size = 0;
	for await (const chunk of content) {
		size += chunk.length;
		if (size > blob.size) throw mismatch(what, `has more than the declared ${blob.size} bytes`);
		hash.update(chunk);
		yield chunk;
	}
	if (size < blob.size) throw mismatch(what, `ended after ${size} of ${blob.size} bytes`);
	const found: Digest = finishDigest(hash, algorithmOf(blob.digest));
	if (found !== blob.digest) throw mismatch(what, `has the digest ${found}`);
}

/** `content` as a stream that is verified as {@link verifyChunks} does. Destroying the result destroys `content`. */
export function verifyStream(content: Readable, blob: Pick<Descriptor, 'digest' | 'size'>, what: string): Readable {
	const verified = Readable.from(verifyChunks(content, blob, what), { objectMode: false });
	verified.once('close', () => content.destroy());
	return verified;
}

/** All bytes of `content`. Throws IMAGE_INVALID as soon as there are more than `limit`, and what the stream itself fails with. */
export async function readBytes(content: AsyncIterable<Uint8Array>, limit: number, what: string): Promise<Uint8Array> {
	const chunks: Uint8Array[] = [];
	let size = 0;
	for await (const chunk of content) {
		size += chunk.length;
		if (size > limit) {
			throw new BuildError('IMAGE_INVALID', `${what} is larger than ${limit} bytes`, {
				hint: 'Such documents are refused because they exhaust memory; no image builder makes them.',
			});
		}
		chunks.push(chunk);
	}
	return Buffer.concat(chunks, size);
}

/** A failure to read `what` from disk as IMAGE_INVALID, or `error` itself when it already says what happened. */
export function unreadable(what: string, error: unknown): BuildError {
	if (isBuildError(error)) return error;
	return new BuildError('IMAGE_INVALID', `cannot read ${what}: ${redact(messageOf(error))}`, {
		hint: 'Check the path, its permissions, and that it holds a complete image.',
		cause: error,
	});
}

function mismatch(what: string, how: string): BuildError {
	return new BuildError('DIGEST_MISMATCH', `${what} ${how}`, { hint: HINT });
}
