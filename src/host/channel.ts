import type { ChildProcess } from 'node:child_process';
import { BuildError, isBuildError } from '../errors.js';
import type { FromWorker } from '../protocol/messages.js';
import { fromWire } from '../protocol/messages.js';
import type { CallName, WorkerCalls } from '../protocol/worker-calls.js';

/** Asks the worker for something. */
export type WorkerCall = <Name extends CallName>(
	name: Name,
	request: WorkerCalls[Name]['request'],
) => Promise<WorkerCalls[Name]['response']>;

/** What the worker tells without being asked. */
export type WorkerEvent = Extract<FromWorker, { type: 'unpacked' | 'packed' | 'notice' }>;

interface Waiting {
	readonly name: CallName;
	readonly resolve: (value: unknown) => void;
	readonly reject: (error: Error) => void;
}

/**
 * Calls that are under way when `signal` is aborted reject with its reason; `close` is always answered. What nobody caught in the worker
 * fails all calls; when it is a bug, nobody catches it here either, so that it ends the command also when none is under way.
 */
export function createChannel(
	child: ChildProcess,
	onEvent: (event: WorkerEvent) => void,
	signal: AbortSignal,
): WorkerCall {
	const waiting = new Map<number, Waiting>();
	let last = 0;
	let gone = false;
	let ended: Error | undefined;
	const rejectAll = (error: Error, wanted: (call: Waiting) => boolean) => {
		for (const [id, call] of waiting) {
			if (!wanted(call)) continue;
			waiting.delete(id);
			call.reject(error);
		}
	};
	const fail = (error: Error) => {
		ended ??= error;
		rejectAll(error, ({ name }) => name !== 'close');
		if (!isBuildError(error)) throw error;
	};
	const settle = (id: number, end: (call: Waiting) => void) => {
		const call = waiting.get(id);
		waiting.delete(id);
		if (call !== undefined) end(call);
	};
	child.on('message', (message: FromWorker) => {
		if (message.type === 'answer') settle(message.id, ({ resolve }) => resolve(message.response));
		else if (message.type === 'failure') settle(message.id, ({ reject }) => reject(fromWire(message.error)));
		else if (message.type === 'fault') fail(fromWire(message.error));
		else if (message.type !== 'ready') onEvent(message);
	});
	signal.addEventListener('abort', () => {
		rejectAll(signal.reason as Error, ({ name }) => name !== 'close');
	});
	child.once('exit', (code, killer) => {
		ended ??= workerGone(code, killer);
		gone = true;
		rejectAll(ended, () => true);
	});
	return (name, request) =>
		new Promise((resolve, reject) => {
			const stopped = ended ?? (signal.aborted ? (signal.reason as Error) : undefined);
			const refused = gone || name !== 'close' ? stopped : undefined;
			if (refused !== undefined) {
				reject(refused);
				return;
			}
			const id = ++last;
			waiting.set(id, { name, resolve, reject } as Waiting);
			// A worker whose channel is broken ends, if it has not done so already, and that rejects what waits.
			child.send({ id, call: name, request }, (error) => {
				if (error !== null && ended !== undefined) reject(ended);
			});
		});
}

function workerGone(code: number | null, signal: NodeJS.Signals | null): BuildError {
	return new BuildError(
		'HOST_WORKER',
		`the build's worker process ended unexpectedly (${signal ?? `status ${String(code)}`})`,
		{ hint: 'If the machine ran out of memory, give the job more. What was half made is removed by the next build.' },
	);
}
