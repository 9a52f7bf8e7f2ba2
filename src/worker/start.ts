import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { BuildError, errnoOf, isBuildError, messageOf } from '../errors.js';
import { findProgram } from '../program.js';
import { removeTree } from '../remove-tree.js';
import { rawPath } from '../root-path.js';
import { createChannel, type WorkerCall, type WorkerEvent } from './channel.js';
import { killSession } from './kill-session.js';
import { PROTOCOL_VERSION } from './protocol.js';
import {
	idsOf,
	inPlacePlan,
	mapIds,
	mappingName,
	type NamespacePlan,
	noNamespaces,
	planNamespaces,
	type WantedNamespace,
} from './user-namespace.js';

/** The process in the namespaces. It holds no credentials; when it or we die, the other ends within a second. */
export interface WorkerProcess {
	readonly userNamespace: NamespacePlan['kind'];
	readonly rootfs: 'overlay' | 'copy' | 'in-place';
	/** Whether it may mount, and so whether sandboxes that do can be used. */
	readonly mounts: boolean;
	/** Why this kind of user namespace. */
	readonly reason: string;
	/** What would help to a better kind, where an attempt has told that. */
	readonly remedy: string | undefined;
	/** What cannot be had here, for people. */
	readonly notices: readonly string[];
	readonly call: WorkerCall;
	/** What the sandboxed process prints when it is forwarded, to be resumed by who reads it; null with inherited streams. */
	readonly stdout: Readable | null;
	readonly stderr: Readable | null;
	/** Ends the worker and all it started, and removes the scratch directory, or moves it to `keepAs`. Never rejects. */
	readonly close: (keepAs?: string) => Promise<void>;
}

export interface WorkerOptions {
	readonly store: string;
	/** Private directory of this build, in the store. */
	readonly scratch: string;
	readonly env: Readonly<Record<string, string | undefined>>;
	readonly rootfs: 'auto' | 'overlay' | 'copy' | 'in-place';
	/** Whether a user other than root who gets no namespaces is to build in place. */
	readonly lastInPlace?: boolean;
	readonly userns: WantedNamespace;
	readonly streams: 'forward' | 'inherit';
	/** Absolute paths of the host that must stay visible to the worker, such as volumes. */
	readonly inUse?: readonly string[];
	readonly onEvent: (event: WorkerEvent) => void;
}

const START_LIMIT_MS = 30_000;
const CLOSE_LIMIT_MS = 10_000;
const ENTRY = fileURLToPath(new URL('./main.js', import.meta.url));
/** Waits for its ids to be mapped before it becomes Node, since only an exec as a mapped root gains capabilities. */
const WAIT = 'read -r _ <&4 || exit 1; exec "$0" "$@" 4<&-';

/** Starts the worker in the best namespaces that this user can get. Throws HOST_NO_NAMESPACES with what each attempt met. */
export async function startWorker(options: WorkerOptions, signal: AbortSignal): Promise<WorkerProcess> {
	const failures: string[] = [];
	let remedy: string | undefined;
	const plans = plansFor(options);
	for (const [index, plan] of plans.entries()) {
		let attempt: Attempt;
		try {
			attempt = await begin(plan, options, signal);
		} catch (error) {
			signal.throwIfAborted();
			failures.push(messageOf(error));
			continue;
		}
		const reason = failures.length === 0 ? plan.reason : failures.join('; ');
		const isLast = plans[index + 1]?.inPlace !== true;
		try {
			return await openWorker(plan, reason, attempt, { ...options, keepScratch: !isLast, remedy }, signal);
		} catch (error) {
			if (isLast || !isBuildError(error, 'HOST_NO_NAMESPACES', 'HOST_NO_OVERLAY')) throw error;
			failures.push(error.message);
			remedy = error.hint;
		}
	}
	if (plans.length === 0) throw notForUs(options.userns);
	throw noNamespaces(failures.join('; '));
}

function notForUs(userns: WorkerOptions['userns']): BuildError {
	const who = process.getuid?.() === 0 ? 'root' : 'a user other than root';
	return new BuildError('HOST_NO_NAMESPACES', `--userns ${userns} is not for ${who}`, {
		hint: 'Leave out --userns: what fits is then found.',
	});
}

function plansFor({ rootfs, userns, lastInPlace }: WorkerOptions): readonly NamespacePlan[] {
	if (rootfs === 'in-place') return [inPlacePlan('it was asked for')];
	const uid = process.getuid?.() ?? 0;
	const plans = planNamespaces(uid, process.getgid?.() ?? 0, userns);
	const isAllowed = lastInPlace === true && rootfs === 'auto' && uid !== 0 && (userns === 'auto' || userns === 'none');
	return isAllowed ? [...plans, inPlacePlan('no namespaces were asked for')] : plans;
}

/** Starts the worker in exactly the namespaces of `plan`. Throws an Error with what the attempt met, or what `open` throws. */
export async function startWorkerIn(
	plan: NamespacePlan,
	options: WorkerOptions,
	signal: AbortSignal,
): Promise<WorkerProcess> {
	return openWorker(plan, plan.reason, await begin(plan, options, signal), options, signal);
}

async function begin(plan: NamespacePlan, options: WorkerOptions, signal: AbortSignal): Promise<Attempt> {
	const attempt = spawnWorker(plan, options);
	try {
		await attempt.ready(signal);
		return attempt;
	} catch (error) {
		attempt.kill();
		throw error;
	}
}

interface Attempt {
	readonly child: ChildProcess;
	readonly ready: (signal: AbortSignal) => Promise<void>;
	readonly kill: () => void;
}

function workerCommand(plan: NamespacePlan, path: string | undefined): readonly [string, ...string[]] {
	const node = [process.execPath, '--no-warnings', ENTRY] as const;
	if (!plan.mounts) return node;
	// One id is mapped by unshare itself: where no_new_privs is set, an exec before the mapping would lose all capabilities for good.
	const user = { none: [], single: ['--user', '--map-root-user'], full: ['--user'] }[plan.kind];
	const wait = plan.kind === 'full' ? ['/bin/sh', '-c', WAIT] : [];
	const unshare = findProgram('unshare', path) ?? 'unshare';
	return [unshare, ...user, '--mount', '--pid', '--fork', '--kill-child', '--', ...wait, ...node];
}

function spawnWorker(plan: NamespacePlan, options: WorkerOptions): Attempt {
	const path = options.env['PATH'];
	const [program, ...args] = workerCommand(plan, path);
	const streams =
		options.streams === 'inherit'
			? (['inherit', 'inherit', 'inherit'] as const)
			: (['ignore', 'pipe', 'pipe'] as const);
	const child = spawn(program, args, {
		stdio: [...streams, 'ipc', 'pipe'],
		env: { PATH: path ?? '/usr/bin:/bin', LC_ALL: 'C' },
		cwd: '/',
		detached: true,
	});
	const complaints: string[] = [];
	const complain = (chunk: Buffer) => void complaints.push(chunk.toString());
	child.stderr?.on('data', complain);
	child.stdio[4]?.on('error', () => undefined);
	const ready = (signal: AbortSignal) =>
		new Promise<void>((resolve, reject) => {
			const gone = () => reject(new Error(complaints.join('').trim().split('\n').at(-1) ?? 'unshare failed'));
			const late = setTimeout(() => reject(new Error('the worker did not start in time')), START_LIMIT_MS);
			late.unref();
			signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
			child.once('error', (error) => reject(new Error(`unshare (package util-linux): ${messageOf(error)}`)));
			child.once('exit', gone);
			child.once('message', () => {
				clearTimeout(late);
				child.off('exit', gone);
				child.stderr?.off('data', complain);
				child.stderr?.pause();
				resolve();
			});
			if (plan.kind !== 'full' || child.pid === undefined) return;
			mapIds(child.pid, plan, path, signal).then(() => {
				(child.stdio[4] as NodeJS.WritableStream).end('\n');
			}, reject);
		});
	return { child, ready, kill: () => killGroup(child) };
}

async function openWorker(
	plan: NamespacePlan,
	reason: string,
	attempt: Attempt,
	options: WorkerOptions & { readonly keepScratch?: boolean; readonly remedy?: string | undefined },
	signal: AbortSignal,
): Promise<WorkerProcess> {
	const { child } = attempt;
	const call = createChannel(child, options.onEvent, signal);
	const exited = new Promise<void>((resolve) => child.once('exit', () => resolve())).then(() => endLeft(plan, child));
	const end = async (keepAs?: string) => {
		const limit = setTimeout(attempt.kill, CLOSE_LIMIT_MS);
		await call('close', { keepAs }).catch(() => undefined);
		if (child.connected) child.disconnect();
		await exited;
		clearTimeout(limit);
	};
	const close = async (keepAs?: string) => {
		await end(keepAs);
		removeOwn(options.scratch);
	};
	const { store, scratch, env } = options;
	const rootfs = plan.inPlace === true ? 'in-place' : options.rootfs;
	const base = {
		mounts: plan.mounts,
		inUse: options.inUse ?? [],
		rootfs,
		version: PROTOCOL_VERSION,
		userNamespace: plan.kind,
		ids: idsOf(plan),
		mapping: mappingName(plan),
		store,
		scratch,
	};
	mkdirSync(store, { recursive: true, mode: 0o700 });
	try {
		const opened = await call('open', { ...base, hostPath: env['PATH'] ?? '/usr/bin:/bin' });
		return {
			userNamespace: plan.kind,
			mounts: plan.mounts,
			rootfs: opened.rootfs,
			notices: opened.notices,
			remedy: options.remedy,
			reason,
			call,
			stdout: child.stdout,
			stderr: child.stderr,
			close,
		};
	} catch (error) {
		// The next worker works in the scratch directory, where the source may be already.
		await (options.keepScratch === true ? end() : close());
		throw error;
	}
}

/** A worker is the leader of a session of its own. With a pid namespace, all that it started has died with it. */
async function endLeft({ mounts }: NamespacePlan, { pid }: ChildProcess): Promise<void> {
	if (!mounts && pid !== undefined) await killSession(pid);
}

/** Killing unshare alone may leave a worker that is just being started, and with it our channel to it open for ever. */
function killGroup(child: ChildProcess): void {
	try {
		if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
	} catch (error) {
		if (errnoOf(error) !== 'ESRCH') throw error;
	}
	if (child.connected) child.disconnect();
	for (const stream of child.stdio) stream?.destroy();
}

/** What belongs to other ids of a worker that was killed, only the next worker can remove. */
function removeOwn(scratch: string): void {
	try {
		removeTree(rawPath(scratch));
	} catch (error) {
		if (errnoOf(error) === undefined) throw error;
	}
}
