import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from './errors.js';

/** How a shell names what it hands over open, such as `<(command)`; `/dev/fd` leads to `/proc/self/fd`. */
const HANDED_OVER = /^(?:\/dev\/fd|\/proc\/self\/fd)\/(\d{1,9})$|^\/dev\/(stdin)$/;
const CHUNK = 64 * 1024;
const PAUSE_MS = 20;

/**
 * The descriptor that the absolute `path` names when it is a pipe that this process was started with, as for `<(command)` of a shell and
 * `/dev/stdin`; undefined for all else, also for a pipe that has a name, for whose writer one would have to wait.
 */
export async function inheritedPipe(path: string): Promise<number | undefined> {
	const [, number, standard] = HANDED_OVER.exec(path) ?? [];
	if (number === undefined && standard === undefined) return undefined;
	const found = await stat(path).catch(() => undefined);
	return found?.isFIFO() === true ? Number(number ?? 0) : undefined;
}

/**
 * All that comes out of the pipe `path` of {@link inheritedPipe}, which nobody can read again. Rejects with an Error whose message is a clause on
 * what is wrong once there are more than `maxBytes`, or when it was not closed within `limitMs`; or with the error of the system.
 */
export async function readInheritedPipe(path: string, maxBytes: number, limitMs: number): Promise<Buffer> {
	// Opened anew it has flags of its own: those of the descriptor are shared with whoever started us.
	await using pipe = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
	const deadline = performance.now() + limitMs;
	const chunks: Buffer[] = [];
	for (let size = 0; size <= maxBytes; ) {
		const chunk = await readSome(pipe);
		if (chunk?.length === 0) return Buffer.concat(chunks);
		if (performance.now() > deadline) throw new Error(`what writes to it has not ended after ${limitMs / 1000} s`);
		if (chunk === undefined) await sleep(PAUSE_MS);
		else chunks.push(chunk);
		size += chunk?.length ?? 0;
	}
	throw new Error(`more than ${maxBytes / 1024} KiB come out of it`);
}

/** What is there: empty at the end, undefined when a writer may still write. */
async function readSome(pipe: Awaited<ReturnType<typeof open>>): Promise<Buffer | undefined> {
	try {
		const { bytesRead, buffer } = await pipe.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK, null);
		return buffer.subarray(0, bytesRead);
	} catch (error) {
		if (errnoOf(error) === 'EAGAIN') return undefined;
		throw error;
	}
}
