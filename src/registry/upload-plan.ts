import { isRetryableStatus } from './retry.js';

/** How a blob is sent within an upload session. */
export interface Manner {
	/** The most bytes of one request; Infinity sends all at once. */
	readonly chunk: number;
	/** Whether the closing PUT carries the content, or its last chunk, or nothing because all went with PATCH before. */
	readonly put: 'full' | 'empty';
}

/** What is to be done after an answer, or after no answer (`undefined`). */
export type Step = 'done' | 'check' | 'again' | 'fail' | Manner;

/** What is known of a registry from uploads before. */
export interface Habits {
	readonly put: Manner['put'];
	/** Blobs of so many bytes and more are sent in chunks of `chunk` bytes at most. */
	readonly limit: number;
	readonly chunk: number;
}

/** GitHub refuses bodies of 4 MiB and more. */
const FIRST_CHUNK = 4 * 1024 * 1024 - 1;
const LEAST_CHUNK = 64 * 1024 - 1;
const FORBIDDEN: readonly number[] = [401, 402, 403, 407];
const SESSION_LOST: readonly number[] = [404, 416, 500];

/** What is expected of a registry that nothing is known of. */
export const UNKNOWN_HABITS: Habits = {
	put: 'full',
	limit: Number.POSITIVE_INFINITY,
	chunk: Number.POSITIVE_INFINITY,
};

/** How to begin with a blob of `size` bytes. */
export function firstManner({ put, limit, chunk }: Habits, size: number): Manner {
	return { put, chunk: size >= limit ? chunk : Number.POSITIVE_INFINITY };
}

/**
 * The step after an upload in `manner` of a blob of `size` bytes was answered with `status`. 413, and 416 for a body at once (GitHub),
 * ask for smaller chunks. Any other refusal of a PUT with content is taken for that of a registry that knows POST, PATCH and PUT
 * only: 404 BLOB_UPLOAD_UNKNOWN of old Artifactory, but also 400, 405, 416, 500. After that 404 and 416 say that the session is lost.
 * Anything but 201 and 204 among the 2xx is no promise that the blob is there.
 */
export function nextStep(manner: Manner, status: number | undefined, size: number): Step {
	if (status === undefined) return 'again';
	if (status >= 200 && status < 300) return status === 201 || status === 204 ? 'done' : 'check';
	if (FORBIDDEN.includes(status)) return 'fail';
	if (isTooLarge(manner, status, size)) return smaller(manner, size);
	if (isRetryableStatus(status) && status !== 500) return 'again';
	return manner.put === 'full' ? { ...manner, put: 'empty' } : SESSION_LOST.includes(status) ? 'again' : 'fail';
}

/** `habits`, and what an upload of `size` bytes has shown that was begun in the manner `before` and succeeded in `manner`. */
export function learn(habits: Habits, before: Manner, manner: Manner, size: number): Habits {
	const put = manner.put === before.put ? habits.put : manner.put;
	if (manner.chunk === before.chunk) return { ...habits, put };
	return { put, limit: Math.min(habits.limit, size), chunk: Math.min(habits.chunk, manner.chunk) };
}

function isTooLarge({ chunk }: Manner, status: number, size: number): boolean {
	return status === 413 || (status === 416 && chunk === Number.POSITIVE_INFINITY && size > FIRST_CHUNK);
}

function smaller(manner: Manner, size: number): Step {
	let chunk = Math.min(manner.chunk, FIRST_CHUNK * 4);
	do chunk = Math.floor(chunk / 4);
	while (chunk >= size && chunk > LEAST_CHUNK);
	return chunk < LEAST_CHUNK ? 'fail' : { ...manner, chunk };
}
