import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { findProgram } from '../program.js';

/** What ends a worker that is too busy to notice that we died. */
export interface WorkerWatch {
	/** We are about to end, and the worker goes on to clean up, busy or not. */
	readonly leave: () => void;
	/** The worker has ended. */
	readonly stop: () => void;
}

/**
 * Of the process group $1, whose number stays taken as long as it has a member; $2 is the lock of its scratch directory, which is not empty
 * once the clean-up began. Half a second is left for that to begin and five for it to end; what it leaves, the next build removes.
 */
const SCRIPT = `
trap '' HUP INT TERM
read -r _ && leaving=1 && read -r _
sleep 0.5
tries=0
while [ "$tries" -lt 50 ] && { [ -n "$leaving" ] || [ -s "$2" ]; } && kill -s 0 -- "-$1"; do
	sleep 0.1
	tries=$((tries + 1))
done
kill -s KILL -- "-$1"
`;

/**
 * Watches the process group `group` of a worker with a pid namespace, from outside of it: its process 1 can be killed from nowhere else
 * (pid_namespaces(7)). A shell waits on a pipe whose other end only we hold. Where it cannot be started, the channel is all that tells the
 * worker. Programs are found in `path`.
 */
export function watchWorker(group: number, scratch: string, path: string | undefined): WorkerWatch {
	const shell = spawn(findProgram('sh', path) ?? '/bin/sh', ['-c', SCRIPT, 'sh', String(group), `${scratch}.lock`], {
		stdio: ['pipe', 'ignore', 'ignore'],
		env: { PATH: path ?? '/usr/bin:/bin', leaving: '' },
		cwd: '/',
		// A signal to our own process group is not meant for it.
		detached: true,
	});
	shell.on('error', () => undefined);
	shell.stdin.on('error', () => undefined);
	shell.unref();
	if (shell.stdin instanceof Socket) shell.stdin.unref();
	return {
		leave: () => void shell.stdin.write('\n'),
		stop: () => void shell.kill('SIGKILL'),
	};
}
