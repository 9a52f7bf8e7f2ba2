import { constants } from 'node:os';
import type { WorkerProcess } from '../host/start-worker.js';
import type { Digest } from '../oci/digest.js';
import type { Inspected, RootName, WorkerCalls } from '../protocol/worker-calls.js';
import { checkResolvedUser } from '../s2i/check-user.js';
import { resolveUser, type User } from '../s2i/users.js';
import { withoutName } from '../sandbox/no-sandbox.js';
import { exitStatus } from '../sandbox/sandbox.js';
import { putLast, type SandboxPlace } from '../sandbox/sandboxes.js';
import type { Emit } from './events.js';
import type { BuildRecord } from './record.js';
import type { ScriptsRequest } from './request.js';
import { placeOf } from './rung.js';

type RequestOf<
	Name extends
		| 'prepare'
		| 'execute'
		| 'saveArtifacts'
		| 'copyFiles'
		| 'copyArtifacts'
		| 'copyToSource'
		| 'diff'
		| 'pack',
> = WorkerCalls[Name]['request'];
type Run<Name extends 'execute' | 'saveArtifacts'> = Omit<RequestOf<Name>, 'root' | 'sandboxes' | 'streams'>;
type Ended<Name extends 'execute' | 'saveArtifacts' = 'execute'> = WorkerCalls[Name]['response'];

/** A process that has ended. */
export type RunEnded<Name extends 'execute' | 'saveArtifacts' = 'execute'> = Ended<Name> & {
	/** As a shell gives it: 128 + n after signal n. */
	readonly status: number;
	/** The end of what it printed. */
	readonly lastLines: string;
};

/** A mounted root filesystem of an image, as the parent sees it. All work on it is done by the worker. */
export interface Root {
	readonly name: RootName;
	/** Where its processes run. */
	readonly place: SandboxPlace;
	/** What is at absolute `paths`, in their order, without following a link out of the image. */
	readonly stat: (paths: readonly string[]) => Promise<readonly Inspected[]>;
	/** The same, with the text of what is a file of at most 1 MiB. */
	readonly read: (paths: readonly string[]) => Promise<readonly Inspected[]>;
	/** Who `text`, a USER, is by /etc/passwd and /etc/group as they are now. Throws IMAGE_INVALID. */
	readonly user: (text: string) => Promise<User>;
	/** Puts directories of the host (moved, not copied) and mount points into it. */
	readonly prepare: (wanted: Omit<RequestOf<'prepare'>, 'root'>) => Promise<void>;
	/** Runs a process and passes on what it prints. Reports another rung, and limits that are not enforced. Throws HOST_NO_SANDBOX. */
	readonly run: (run: Run<'execute'>) => Promise<RunEnded>;
	/** The same with our own streams; resolves with the status, or with undefined when aborting `signal` stopped it. */
	readonly show: (run: Run<'execute'>, signal: AbortSignal) => Promise<number | undefined>;
	/** Runs a process that writes an archive to its standard output, and passes on what it prints on the other. Throws HOST_NO_SANDBOX, LAYER_INVALID. */
	readonly saveArtifacts: (run: Run<'saveArtifacts'>) => Promise<RunEnded<'saveArtifacts'>>;
	/** Copies a host directory as COPY and ADD do; resolves with the paths of what is no file, directory or link. */
	readonly copyFiles: (files: Omit<RequestOf<'copyFiles'>, 'root'>) => Promise<readonly string[]>;
	/** Copies files out of `other`, in which no process runs. */
	readonly copyFrom: (
		other: Root,
		wanted: Omit<RequestOf<'copyArtifacts'>, 'from' | 'to'>,
	) => Promise<WorkerCalls['copyArtifacts']['response']>;
	/** Copies files out of it, in which no process runs, into the host directory `to`, a source. Throws SOURCE_INVALID. */
	readonly copyToSource: (
		wanted: Omit<RequestOf<'copyToSource'>, 'from'>,
	) => Promise<WorkerCalls['copyToSource']['response']>;
	/** Finds what processes changed. */
	readonly diff: (wanted: Omit<RequestOf<'diff'>, 'root'>) => Promise<WorkerCalls['diff']['response']>;
	/** The first paths of what `diff` found, for people. */
	readonly listChanges: () => Promise<WorkerCalls['listChanges']['response']['changes']>;
	/** Writes what `diff` found as a layer. */
	readonly pack: (wanted: Omit<RequestOf<'pack'>, 'root'>) => Promise<WorkerCalls['pack']['response']>;
	/** Forgets it with all that was changed in it. Never rejects. */
	readonly unmount: () => Promise<void>;
}

/** Who `text` is in `root`, when that user may run something. Throws IMAGE_INVALID, IMAGE_USER_NOT_ALLOWED. */
export async function findUser(
	root: Root,
	text: string,
	{ allowedUids }: Pick<ScriptsRequest, 'allowedUids'>,
): Promise<User> {
	const user = await root.user(text);
	if (allowedUids !== undefined) checkResolvedUser(text, user.uid, allowedUids);
	return user;
}

/** Who does the work, and who hears of it. */
export interface RootContext {
	readonly worker: WorkerProcess;
	readonly record: Pick<BuildRecord, 'emit' | 'rung'>;
}

/** Mounts the image of the unpacked layers `diffIds`, lowest first, as the root filesystem `name`. */
export async function mountRoot(name: RootName, diffIds: readonly Digest[], context: RootContext): Promise<Root> {
	const { worker } = context;
	await worker.call('mount', { root: name, diffIds });
	const inspect = async (stat: readonly string[], read: readonly string[]) =>
		(await worker.call('inspect', { root: name, stat, read })).found;
	return {
		name,
		place: worker,
		stat: (paths) => inspect(paths, []),
		read: (paths) => inspect([], paths),
		user: async (text) => {
			const [passwd, group] = (await inspect([], ['/etc/passwd', '/etc/group'])).map((file) => file.text ?? '');
			return resolveUser(text, passwd ?? '', group ?? '');
		},
		prepare: async (wanted) => {
			await worker.call('prepare', { root: name, ...wanted });
		},
		copyFiles: async (files) => (await worker.call('copyFiles', { root: name, ...files })).skipped,
		copyFrom: (other, wanted) => worker.call('copyArtifacts', { from: other.name, to: name, ...wanted }),
		copyToSource: (wanted) => worker.call('copyToSource', { from: name, ...wanted }),
		diff: (wanted) => worker.call('diff', { root: name, ...wanted }),
		listChanges: async () => (await worker.call('listChanges', { root: name })).changes,
		pack: (wanted) => worker.call('pack', { root: name, ...wanted }),
		unmount: () =>
			worker.call('unmount', { root: name }).then(
				() => undefined,
				() => undefined,
			),
		...runnersOf(name, context),
	};
}

function runnersOf(name: RootName, context: RootContext): Pick<Root, 'run' | 'show' | 'saveArtifacts'> {
	const { worker, record } = context;
	const { sandboxes } = worker;
	const statusOf = ({ exit }: Pick<Ended, 'exit'>) => exitStatus(exit, constants.signals);
	const collecting = async <E extends Pick<Ended, 'exit'>>(calling: Promise<E>, printed: (ended: E) => Printed) => {
		const output = collectOutput(worker, record.emit);
		try {
			const ended = await calling;
			await output.drained(printed(ended));
			return { ...ended, status: statusOf(ended), lastLines: output.lastLines() };
		} finally {
			await output.drained({ stdout: 0, stderr: 0 });
		}
	};
	return {
		run: async (run) => {
			const calling = worker.call('execute', { root: name, sandboxes, streams: 'forward', ...run });
			const ended = await collecting(calling, ({ forwarded }) => forwarded);
			reportRun(ended, context);
			return ended;
		},
		show: async (run, signal) => {
			try {
				const ended = await worker.call('execute', { root: name, sandboxes, streams: 'inherit', ...run });
				reportRun(ended, context);
				return statusOf(ended);
			} catch (error) {
				if (signal.aborted) return undefined;
				throw error;
			}
		},
		saveArtifacts: (run) => {
			const order = putLast(sandboxes, 'copiesOutput');
			const calling = worker.call('saveArtifacts', { root: name, sandboxes: order, ...run });
			return collecting(calling, ({ forwarded: { stderr } }) => ({ stdout: 0, stderr }));
		},
	};
}

/** The sandbox that ran a program at the start may refuse a real one, with its limits and mounts. */
function reportRun({ sandbox, refused, unenforced }: Ended, { worker, record }: RootContext): void {
	if (refused.length > 0) {
		const reason = refused.map((each) => `${each.sandbox} was refused (${withoutName(each)})`).join('; ');
		record.rung({ ...placeOf(worker), sandbox, reason });
	}
	for (const message of unenforced) record.emit({ type: 'warning', code: 'LIMITS', message });
}

type Printed = Ended['forwarded'];

const TAIL_BYTES = 8192;
const TAIL_LINES = 10;
/** Of these, at least so many are kept for stderr when it has them: of two pipes nobody knows which was written to last. */
const STDERR_LINES = 5;
const DRAIN_MS = 2000;

/**
 * Begins to pass on, as events, what the worker forwards of a process, and remembers its last lines. `drained` resolves once as many bytes
 * were passed on as the worker says it forwarded; what comes later is not passed on.
 */
function collectOutput(worker: WorkerProcess, emit: Emit) {
	const seen = { stdout: 0, stderr: 0 };
	const tails = { stdout: '', stderr: '' };
	let wake: () => void = () => undefined;
	const listeners = (['stdout', 'stderr'] as const).map((from) => {
		const listener = (chunk: Buffer) => {
			seen[from] += chunk.length;
			tails[from] = (tails[from] + chunk.toString('utf8')).slice(-TAIL_BYTES);
			emit({ type: 'output', from, chunk });
			wake();
		};
		worker[from]?.on('data', listener);
		worker[from]?.resume();
		return () => worker[from]?.off('data', listener);
	});
	return {
		drained: async (forwarded: Printed) => {
			const isDone = () => seen.stdout >= forwarded.stdout && seen.stderr >= forwarded.stderr;
			if (!isDone()) {
				await new Promise<void>((resolve) => {
					const limit = setTimeout(resolve, DRAIN_MS);
					wake = () => {
						if (!isDone()) return;
						clearTimeout(limit);
						resolve();
					};
				});
			}
			for (const stop of listeners) stop();
		},
		lastLines: () => {
			const [stdout, stderr] = [linesOf(tails.stdout), linesOf(tails.stderr)];
			const end = stderr.slice(-Math.max(STDERR_LINES, TAIL_LINES - stdout.length));
			return [...stdout.slice(-(TAIL_LINES - end.length)), ...end].join('\n');
		},
	};
}

function linesOf(text: string): readonly string[] {
	const trimmed = text.trimEnd();
	return trimmed === '' ? [] : trimmed.split('\n');
}
