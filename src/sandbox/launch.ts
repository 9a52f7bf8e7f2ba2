import type { Readable, Writable } from 'node:stream';
import { execa, type Options } from 'execa';
import type { Exit } from './sandbox.js';

/** A started program of the host. */
export interface Launched {
	readonly stdio: readonly (Readable | Writable | null | undefined)[];
	/** SIGKILL. */
	readonly kill: () => void;
	/** How it ended, or why it could not be started. Never rejects. */
	readonly ended: Promise<Exit | string>;
}

export interface LaunchOptions {
	/** Numbers are file descriptors of this process. */
	readonly stdio: readonly (number | 'ignore' | 'pipe')[];
	/** All of its environment. */
	readonly env: Readonly<Record<string, string>>;
	/** Working directory; ours when undefined. */
	readonly cwd?: string | undefined;
	readonly uid?: number | undefined;
	readonly gid?: number | undefined;
}

/** Starts `program`, an absolute path, with exactly these descriptors and variables. */
export function launch(program: string, args: readonly string[], options: LaunchOptions): Launched {
	const child = execa(program, args, { ...options, extendEnv: false, reject: false, buffer: false } as Options);
	const ended = child.then(({ exitCode, signal, shortMessage }): Exit | string => {
		if (signal !== undefined) return { type: 'signal', signal };
		return exitCode === undefined ? (shortMessage ?? 'it could not be started') : { type: 'code', code: exitCode };
	});
	return { stdio: child.stdio, kill: () => void child.kill('SIGKILL'), ended };
}

/** How `child` ended, or why it could not be started. Calls `kill` when `signal` is aborted meanwhile. */
export async function endOf(child: Launched, kill: () => void, signal: AbortSignal): Promise<Exit | string> {
	signal.addEventListener('abort', kill, { once: true });
	if (signal.aborted) kill();
	const end = await child.ended;
	signal.removeEventListener('abort', kill);
	return end;
}
