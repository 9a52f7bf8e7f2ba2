import { setTimeout as delay } from 'node:timers/promises';
import { isBuildError } from '../errors.js';
import type { FromWorker, Request } from '../protocol/messages.js';
import { PARENT_FD, toWire } from '../protocol/messages.js';
import { createCalls, loadExecute } from './calls.js';
import { markCleaning } from './scratch.js';
import { createParentWatch } from './watch-parent.js';

/** How long calls under way may take to notice that they were stopped. */
const SETTLE_MS = 5000;

/**
 * Answers calls one by one as they end, until it is closed or the other end is gone; then nothing of the build is left. What nobody catches
 * here is told to the other end, which closes.
 */
function serve(): void {
	// Of the whole process, with all its threads, and of what it starts: nothing may change it later, since calls overlap.
	process.umask(0o022);
	process.chdir('/');
	const stop = new AbortController();
	const send = (message: FromWorker) => void process.send?.(message, () => undefined);
	const running = new Set<Promise<void>>();
	const settled = () => Promise.race([Promise.allSettled(running), delay(SETTLE_MS)]);
	const calls = createCalls(send, stop, settled);
	const watch = createParentWatch(PARENT_FD);
	let scratch: string | undefined;
	const clean = () => {
		watch.clean();
		if (scratch !== undefined) markCleaning(scratch);
	};
	const end = async () => {
		clean();
		try {
			await calls.close({});
		} finally {
			process.exit(0);
		}
	};
	const fail = (thrown: unknown) => send({ type: 'fault', error: toWire(asBug(thrown)) });
	process.on('uncaughtException', fail);
	process.on('unhandledRejection', fail);
	process.on('disconnect', () => void end());
	for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined);
	process.on('message', (message: Request) => {
		if (message.call === 'open') scratch = message.request.scratch;
		if (message.call === 'close') clean();
		const call = calls[message.call] as (request: unknown) => unknown;
		const answered = new Promise((resolve) => resolve(call(message.request))).then(
			(response) => send({ type: 'answer', id: message.id, response }),
			(error: unknown) => send({ type: 'failure', id: message.id, error: toWire(error, scratch) }),
		);
		if (message.call === 'close') return;
		running.add(answered);
		void answered.finally(() => running.delete(answered));
		// With a pid namespace, the parent has us watched from outside.
		if (message.call === 'open' && !message.request.mounts) void answered.then(watch.start);
	});
	send({ type: 'ready' });
	setImmediate(() => void loadExecute());
}

/** What nobody caught is a bug, whatever it says. */
function asBug(thrown: unknown): unknown {
	return isBuildError(thrown) ? Object.assign(new Error(thrown.message), { stack: thrown.stack }) : thrown;
}

serve();
