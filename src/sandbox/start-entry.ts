import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Entry } from '../linux/enter.js';
import type { MountStep } from '../linux/mount-steps.js';
import { endDescendants, killDescendants } from './descendants.js';
import { endOf, type Launched, launch } from './launch.js';
import type { Exit, SandboxRun } from './sandbox.js';

/** The program that becomes the process, in Node.js. */
const WORDS = [process.execPath, '--no-warnings', fileURLToPath(new URL('./enter-root.js', import.meta.url))] as const;
const ENTRY_FD = 3;
const STATUS_FD = 4;
const COMPLAINTS_FD = 2;

/** The descriptor of the program that becomes the process's standard error. */
export const STDERR_FD = 5;

/** A program that becomes the process of an {@link Entry}. */
export interface StartedEntry {
	readonly child: Launched;
	/** How the process ended, or why there never was one, once `child` ended with `exit`. */
	readonly conclude: (exit: Exit | string) => EntryEnd;
}

/** `complaint` is the last line of what stood between us and the program. */
export type EntryEnd =
	| { readonly type: 'ended'; readonly exit: Exit; readonly complaint: string }
	| { readonly type: 'refused'; readonly reason: string };

/** Starts that program, by `prefix` (another program and its options) when it is not empty. */
export function startEntry(
	entry: Entry & { readonly mounts: readonly MountStep[] },
	prefix: readonly string[],
	{ streams, inGroup }: Pick<SandboxRun, 'streams' | 'inGroup'>,
): StartedEntry {
	const words = [...prefix, ...WORDS];
	const [program, ...args] = words as [string, ...string[]];
	const { stdin, stdout, stderr } = streams;
	const child = inGroup(() =>
		launch(program, args, { stdio: [stdin, stdout, 'pipe', 'pipe', 'pipe', stderr], env: {} }),
	);
	const channel = child.stdio[ENTRY_FD] as Writable;
	channel.on('error', () => undefined);
	channel.end(JSON.stringify(entry));
	const status: string[] = [];
	child.stdio[STATUS_FD]?.on('data', (chunk: Buffer) => status.push(chunk.toString()));
	const complaints: string[] = [];
	child.stdio[COMPLAINTS_FD]?.on('data', (chunk: Buffer) => complaints.push(chunk.toString()));
	return { child, conclude: (exit) => conclude(exit, status.join(''), complaints.join('')) };
}

/**
 * How `child`, which has no pid namespace, ended; when `signal` is aborted it is killed with all that it started. What it leaves running is
 * searched for and killed; throws ASSEMBLE_SURVIVED when that fails.
 */
export async function endWithDescendants(
	child: Launched,
	{ killGroup }: Pick<SandboxRun, 'killGroup'>,
	signal: AbortSignal,
): Promise<Exit | string> {
	const kill = () => {
		child.kill();
		killGroup();
		void killDescendants();
	};
	const exit = await endOf(child, kill, signal);
	killGroup();
	await endDescendants();
	return exit;
}

/** `status` is what the program that becomes the process wrote: a line end, and then nothing more, when it became that. */
function conclude(exit: Exit | string, status: string, complaints: string): EntryEnd {
	if (typeof exit === 'string') return { type: 'refused', reason: exit };
	const complaint = complaints.trim().split('\n').at(-1) ?? '';
	if (status === '\n') return { type: 'ended', exit, complaint };
	return { type: 'refused', reason: status.trim() || complaint || 'it could not be started' };
}
