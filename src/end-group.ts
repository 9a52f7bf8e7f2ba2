import { unlessErrno } from './errors.js';

/** A started program that leads a process group of its own, as `detached` makes it. */
export interface GroupLeader {
	readonly pid?: number | undefined;
	readonly stdio: readonly ({ destroy(): unknown } | null | undefined)[];
	once(event: 'exit', listener: () => void): unknown;
}

/** Ends a program that is no longer wanted. */
export interface GroupEnd {
	/** Ends it now, as an abort does. */
	readonly end: () => void;
	/** Stops waiting for an abort; to be called when the program has ended. */
	readonly [Symbol.dispose]: () => void;
}

/** How long a program may take to clean up: a stopped build is to end within a second. */
const GRACE_MS = 400;

/**
 * Ends `leader` and its process group when `signal` is aborted: by SIGTERM, and by SIGKILL what of it still runs once the leader has ended,
 * or after 0.4 s. Its streams are then closed, so that nobody waits for a process that left the group and kept them open.
 */
export function endWithGroup(leader: GroupLeader, signal: AbortSignal): GroupEnd {
	let grace: NodeJS.Timeout | undefined;
	const send = (name: 'SIGTERM' | 'SIGKILL') => {
		const { pid } = leader;
		// EPERM: all that is left belongs to another user, as a helper that is set-uid does.
		if (pid !== undefined) unlessErrno(['ESRCH', 'EPERM'], () => process.kill(-pid, name));
	};
	const finish = () => {
		clearTimeout(grace);
		send('SIGKILL');
		for (const stream of leader.stdio) stream?.destroy();
	};
	const end = () => {
		if (grace !== undefined) return;
		grace = setTimeout(finish, GRACE_MS);
		leader.once('exit', finish);
		send('SIGTERM');
	};
	if (signal.aborted) end();
	else signal.addEventListener('abort', end, { once: true });
	return {
		end,
		[Symbol.dispose]: () => signal.removeEventListener('abort', end),
	};
}

/** What `running` resolves with; it is ended as by {@link endWithGroup} when `signal` is aborted, which is not an error here. */
export async function resultOf<T>(running: GroupLeader & PromiseLike<T>, signal: AbortSignal): Promise<T> {
	const group = endWithGroup(running, signal);
	try {
		return await running;
	} finally {
		group[Symbol.dispose]();
	}
}
