import type { Hash } from 'node:crypto';
import { BuildError } from '../errors.js';

/** A content digest such as `sha256:6c3c…`. Only {@link parseDigest} and {@link digestOf} make one, so it is safe as a file name. */
export type Digest = `${'sha256' | 'sha512'}:${string}` & { readonly __brand: 'Digest' };

const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** Whether `text` is a well-formed digest of an algorithm we verify (image-spec v1.1 descriptor.md#digests). */
export function isDigest(text: string): text is Digest {
	return DIGEST.test(text);
}

/** `text` as a digest. Throws IMAGE_INVALID for anything else: other algorithms, upper case, wrong length, path tricks (CVE-2024-3727). */
export function parseDigest(text: string): Digest {
	if (isDigest(text)) return text;
	throw new BuildError('IMAGE_INVALID', `not a digest: ${JSON.stringify(text.slice(0, 100))}`, {
		hint: 'A digest is sha256: and 64 lower-case hexadecimal characters.',
	});
}

/** The sha256 digest of `bytes`. */
export function digestOf(bytes: Uint8Array): Digest {
	return finishDigest(hashOf('sha256').update(bytes));
}

/** A running hash of the algorithm that `digest` names. */
export function hasherFor(digest: Digest): Hash {
	return hashOf(algorithmOf(digest));
}

/** The digest of what went into a sha256 or, when `algorithm` says so, sha512 hash. */
export function finishDigest(hash: Hash, algorithm: 'sha256' | 'sha512' = 'sha256'): Digest {
	return parseDigest(`${algorithm}:${hash.digest('hex')}`);
}

/** The algorithm part of `digest`. */
export function algorithmOf(digest: Digest): 'sha256' | 'sha512' {
	return digest.startsWith('sha512') ? 'sha512' : 'sha256';
}

/** The hexadecimal part of `digest`. */
export function hexOf(digest: Digest): string {
	return digest.slice(digest.indexOf(':') + 1);
}

/** Programs that only name digests start without cryptography. */
function hashOf(algorithm: 'sha256' | 'sha512'): Hash {
	return process.getBuiltinModule('node:crypto').createHash(algorithm);
}
