import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { errnoOf, isBuildError, unlessErrno } from '../errors.js';
import { killAll } from '../linux/processes.js';
import { PARENT_FD } from '../protocol/messages.js';
import { removeTree } from '../remove-tree.js';
import { rawPath } from '../root-path.js';
import type { NamespacePlan } from './user-namespace.js';
import type { WorkerWatch } from './watch-worker.js';

/** `left` so many ms after `signal` is aborted because somebody stopped the build, or never once `over` is. */
export function afterAbort(signal: AbortSignal, ms: number, over: AbortSignal): Promise<'left'> {
	return new Promise((resolve) => {
		const begin = () => {
			if (!isBuildError(signal.reason, 'INTERRUPTED')) return;
			const timer = setTimeout(() => resolve('left'), ms);
			over.addEventListener('abort', () => clearTimeout(timer), { once: true });
		};
		if (signal.aborted) begin();
		else signal.addEventListener('abort', begin, { once: true, signal: over });
	});
}

/**
 * Lets this process end before its worker, as `watch` is told. The socket that tells the worker when that happens stays open until then. One that
 * somebody has stopped (SIGSTOP) goes on, since it would stay for ever.
 */
export function leave(child: ChildProcess, watch: WorkerWatch | undefined): void {
	watch?.leave();
	signalGroup(child, 'SIGCONT');
	child.unref();
	child.channel?.unref();
	for (const [fd, stream] of child.stdio.entries()) {
		if (fd !== PARENT_FD) stream?.destroy();
		else (stream as Socket | null)?.unref().write('\n');
	}
}

/**
 * Kills what a worker that was killed itself has left. It is the leader of a session of its own: its children belong to nobody then, but
 * their session stays. With a pid namespace, all that it started has died with it.
 */
export async function endLeft({ mounts }: NamespacePlan, { pid }: ChildProcess): Promise<void> {
	if (!mounts && pid !== undefined) await killAll((processes) => processes.filter(({ session }) => session === pid));
}

/** Killing unshare alone may leave a worker that is just being started, and with it our channel to it open for ever. */
export function killGroup(child: ChildProcess): void {
	signalGroup(child, 'SIGKILL');
	if (child.connected) child.disconnect();
	for (const stream of child.stdio) stream?.destroy();
}

function signalGroup({ pid, exitCode }: ChildProcess, name: 'SIGCONT' | 'SIGKILL'): void {
	if (pid !== undefined && exitCode === null) unlessErrno(['ESRCH'], () => process.kill(-pid, name));
}

/** What belongs to other ids of a worker that was killed, only the next worker can remove. */
export function removeOwn(scratch: string): void {
	try {
		removeTree(rawPath(scratch));
	} catch (error) {
		if (errnoOf(error) === undefined) throw error;
	}
}
