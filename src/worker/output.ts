import { closeSync, fchownSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import type { Libc } from '../linux/libc.js';
import type { WorkerCalls } from '../protocol/worker-calls.js';
import type { Owner } from '../rootfs/owner.js';
import type { SandboxStreams } from '../sandbox/sandbox.js';

/** Where the standard streams of a process go. */
export interface Output {
	readonly streams: SandboxStreams;
	/** To be called once no sandbox will be started any more: gives up our own hold on the write ends. */
	readonly started: () => void;
	/** Resolves when all was passed on; rejects when the consumer of stdout does. */
	readonly drained: () => Promise<WorkerCalls['execute']['response']['forwarded']>;
}

/** Reads stdout to its end. */
export type ConsumeStdout = (stdout: Readable) => Promise<void>;

/** How long after the end of the process somebody who writes nothing may still hold its output open. */
const DRAIN_MS = 1000;
/** And how often in a row somebody who goes on writing. */
const MAX_ROUNDS = 10;

/** The streams of this process. */
export const INHERITED: Output = {
	streams: { stdin: 0, stdout: 1, stderr: 2 },
	started: () => undefined,
	drained: () => Promise.resolve({ stdout: 0, stderr: 0 }),
};

/**
 * Real pipes of `owner`, copied to the output of this process; stdout goes to `consume` where there is one. Node's own are sockets, which
 * a script cannot open as /dev/stderr. Opening that takes the right to the pipe, too.
 */
export function openForward(libc: Libc, owner: Owner, consume: ConsumeStdout | undefined): Output {
	const stdout = consume === undefined ? forward(libc.pipe(), process.stdout) : handOver(libc.pipe(), consume);
	const stderr = forward(libc.pipe(), process.stderr);
	for (const { write } of [stdout, stderr]) fchownSync(write, owner.uid, owner.gid);
	return {
		streams: { stdin: 'ignore', stdout: stdout.write, stderr: stderr.write },
		started: () => {
			closeSync(stdout.write);
			closeSync(stderr.write);
		},
		drained: async () => {
			const [out, err] = await Promise.all([stdout.drained(), stderr.drained()]);
			return { stdout: out, stderr: err };
		},
	};
}

type Pipe = ReturnType<Libc['pipe']>;

interface Forwarded {
	readonly write: number;
	/** Bytes for the parent process to wait for. */
	readonly drained: () => Promise<number>;
}

function forward(pipe: Pipe, output: NodeJS.WritableStream): Forwarded {
	const source = new Socket({ fd: pipe.read, readable: true, writable: false });
	let bytes = 0;
	source.on('data', (chunk: Buffer) => {
		bytes += chunk.length;
		if (output.write(chunk)) return;
		source.pause();
		output.once('drain', () => source.resume());
	});
	const closed = closing(source);
	return {
		write: pipe.write,
		drained: async () => {
			const over = new AbortController();
			void closed.then(() => over.abort());
			await silence(() => bytes, source, over.signal);
			source.destroy();
			await closed;
			return bytes;
		},
	};
}

/** Nobody outlives the sandbox's pid namespace with the pipe open, so a consumer that is slow may be waited for. */
function handOver(pipe: Pipe, consume: ConsumeStdout): Forwarded {
	const source = new Socket({ fd: pipe.read, readable: true, writable: false });
	const consumed = consume(source);
	consumed.catch(() => source.destroy());
	return {
		write: pipe.write,
		drained: async () => {
			await consumed;
			source.destroy();
			return 0;
		},
	};
}

/**
 * Resolves when nothing has come for {@link DRAIN_MS} and nothing waits to be read, which on a busy machine is not the same, or when `over`
 * is aborted.
 */
async function silence(count: () => number, source: Socket, over: AbortSignal): Promise<void> {
	let seen = -1;
	for (let rounds = 0; !over.aborted && rounds < MAX_ROUNDS && (source.isPaused() || count() !== seen); ) {
		seen = count();
		if (!source.isPaused()) rounds++;
		await delay(DRAIN_MS, undefined, { signal: over }).catch(() => undefined);
		// Reading comes between a timer and this.
		await nextTurn();
	}
}

function closing(source: Socket): Promise<void> {
	return new Promise<void>((resolve) => {
		source.once('close', () => resolve());
		source.once('error', () => resolve());
	});
}
