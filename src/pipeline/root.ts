import type { WorkerProcess } from '../host/start-worker.js';
import type { Digest } from '../oci/digest.js';
import type { Inspected, RootName, WorkerCalls } from '../protocol/worker-calls.js';
import { checkResolvedUser } from '../s2i/check-user.js';
import { resolveUser, type User } from '../s2i/users.js';
import { withoutName } from '../sandbox/no-sandbox.js';
import { putLast, type SandboxPlace } from '../sandbox/sandboxes.js';
import { collectOutput } from './assemble/process-output.js';
import type { BuildRecord } from './record.js';
import type { ScriptsRequest } from './request.js';
import { placeOf } from './rung.js';

type RequestOf<Name extends 'prepare' | 'execute' | 'saveArtifacts' | 'copyFiles' | 'copyArtifacts' | 'diff' | 'pack'> =
	WorkerCalls[Name]['request'];
type Run<Name extends 'execute' | 'saveArtifacts'> = Omit<RequestOf<Name>, 'root' | 'sandboxes' | 'streams'>;
type Ended<Name extends 'execute' | 'saveArtifacts' = 'execute'> = WorkerCalls[Name]['response'];

/** A process that has ended, and the end of what it printed. */
export type RunEnded<Name extends 'execute' | 'saveArtifacts' = 'execute'> = Ended<Name> & {
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
	/** The same with our own streams. */
	readonly show: (run: Run<'execute'>) => Promise<Ended>;
	/** Runs a process that writes an archive to its standard output, and passes on what it prints on the other. Throws HOST_NO_SANDBOX, LAYER_INVALID. */
	readonly saveArtifacts: (run: Run<'saveArtifacts'>) => Promise<RunEnded<'saveArtifacts'>>;
	/** Copies a host directory as COPY and ADD do; resolves with the paths of what is no file, directory or link. */
	readonly copyFiles: (files: Omit<RequestOf<'copyFiles'>, 'root'>) => Promise<readonly string[]>;
	/** Copies files out of `other`, in which no process runs. */
	readonly copyFrom: (
		other: Root,
		wanted: Omit<RequestOf<'copyArtifacts'>, 'from' | 'to'>,
	) => Promise<WorkerCalls['copyArtifacts']['response']>;
	/** Finds what processes changed. */
	readonly diff: (wanted: Omit<RequestOf<'diff'>, 'root'>) => Promise<WorkerCalls['diff']['response']>;
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
		diff: (wanted) => worker.call('diff', { root: name, ...wanted }),
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
	return {
		run: async (run) => {
			const output = collectOutput(worker, record.emit);
			try {
				const ended = await worker.call('execute', { root: name, sandboxes, streams: 'forward', ...run });
				await output.drained(ended.forwarded);
				reportRun(ended, context);
				return { ...ended, lastLines: output.lastLines() };
			} finally {
				await output.drained({ stdout: 0, stderr: 0 });
			}
		},
		show: async (run) => {
			const ended = await worker.call('execute', { root: name, sandboxes, streams: 'inherit', ...run });
			reportRun(ended, context);
			return ended;
		},
		saveArtifacts: async (run) => {
			const output = collectOutput(worker, record.emit);
			try {
				const order = putLast(sandboxes, 'copiesOutput');
				const ended = await worker.call('saveArtifacts', { root: name, sandboxes: order, ...run });
				await output.drained({ stdout: 0, stderr: ended.forwarded.stderr });
				return { ...ended, lastLines: output.lastLines() };
			} finally {
				await output.drained({ stdout: 0, stderr: 0 });
			}
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
