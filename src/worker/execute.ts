import { closeSync, fchownSync } from 'node:fs';
import { Socket } from 'node:net';
import { BuildError } from '../errors.js';
import type { Libc } from '../linux/libc.js';
import { runSandbox, type SandboxStreams } from '../sandbox/run.js';
import type { SandboxSpec } from '../sandbox/sandbox.js';
import type { WorkerCalls } from './protocol.js';

type Execute = WorkerCalls['execute'];

export interface ExecuteContext {
	readonly libc: Libc;
	readonly scratch: string;
	readonly hostPath: string;
	readonly spec: Omit<SandboxSpec, 'process'>;
}

/** How long after the end of the process somebody may still hold its output open. */
const DRAIN_MS = 1000;

/** Runs the process in the first of `sandboxes` that can start it. Throws HOST_NO_SANDBOX when none can. */
export async function execute(
	request: Execute['request'],
	context: ExecuteContext,
	signal: AbortSignal,
): Promise<Execute['response']> {
	const refused: { readonly sandbox: (typeof request.sandboxes)[number]; readonly reason: string }[] = [];
	const spec: SandboxSpec = { ...context.spec, process: request.process };
	for (const sandbox of request.sandboxes) {
		const output = request.streams === 'forward' ? openForward(context.libc, ownerOf(spec)) : INHERITED;
		const run = { spec, streams: output.streams, scratch: context.scratch, hostPath: context.hostPath };
		const outcome = await runSandbox(sandbox, run, signal).finally(output.started);
		const forwarded = await output.drained();
		if (outcome.type === 'exited') return { exit: outcome.exit, sandbox, refused, forwarded };
		signal.throwIfAborted();
		refused.push({ sandbox, reason: outcome.reason });
	}
	throw noSandbox(refused);
}

interface Output {
	readonly streams: SandboxStreams;
	/** To be called once the sandbox has ended: gives up our own hold on the write ends. */
	readonly started: () => void;
	readonly drained: () => Promise<Execute['response']['forwarded']>;
}

const INHERITED: Output = {
	streams: { stdin: 0, stdout: 1, stderr: 2 },
	started: () => undefined,
	drained: () => Promise.resolve({ stdout: 0, stderr: 0 }),
};

interface Owner {
	readonly uid: number;
	readonly gid: number;
}

/** With a single id everything is its own. */
function ownerOf({ userNamespace, process: { user } }: SandboxSpec): Owner {
	return userNamespace === 'single' ? { uid: 0, gid: 0 } : user;
}

/** Real pipes: Node's own are sockets, which a script cannot open as /dev/stderr. Opening that takes the right to the pipe, too. */
function openForward(libc: Libc, owner: Owner): Output {
	const stdout = forward(libc.pipe(), process.stdout);
	const stderr = forward(libc.pipe(), process.stderr);
	for (const { write } of [stdout, stderr]) fchownSync(write, owner.uid, owner.gid);
	return {
		streams: { stdin: 'ignore', stdout: stdout.write, stderr: stderr.write },
		started: () => {
			closeSync(stdout.write);
			closeSync(stderr.write);
		},
		drained: async () => ({ stdout: await stdout.drained(), stderr: await stderr.drained() }),
	};
}

function forward(
	pipe: { readonly read: number; readonly write: number },
	output: NodeJS.WritableStream,
): { readonly write: number; readonly drained: () => Promise<number> } {
	const source = new Socket({ fd: pipe.read, readable: true, writable: false });
	let bytes = 0;
	source.on('data', (chunk: Buffer) => {
		bytes += chunk.length;
		if (output.write(chunk)) return;
		source.pause();
		output.once('drain', () => source.resume());
	});
	const closed = new Promise<void>((resolve) => {
		source.once('close', () => resolve());
		source.once('error', () => resolve());
	});
	return {
		write: pipe.write,
		drained: async () => {
			const late = setTimeout(() => source.destroy(), DRAIN_MS);
			await closed;
			clearTimeout(late);
			return bytes;
		},
	};
}

function noSandbox(refused: readonly { readonly sandbox: string; readonly reason: string }[]): BuildError {
	const reasons = refused.map(
		({ sandbox, reason }) => `${sandbox}: ${reason.replace(new RegExp(`^${sandbox}:? ?`), '')}`,
	);
	return new BuildError('HOST_NO_SANDBOX', `no sandbox could be started (${reasons.join('; ')})`, {
		hint:
			'Install bubblewrap or runc (Debian, Ubuntu: apt-get install bubblewrap runc; Fedora, RHEL: dnf install bubblewrap runc), ' +
			'or choose one with --isolation.',
	});
}
