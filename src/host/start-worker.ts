import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { BuildError, isBuildError, messageOf } from '../errors.js';
import { makePath } from '../make-path.js';
import { PARENT_FD } from '../protocol/messages.js';
import { PROTOCOL_VERSION, type WorkerCalls } from '../protocol/worker-calls.js';
import { isInPlace, type Rootfs } from '../sandbox/ladder.js';
import { noSandbox } from '../sandbox/no-sandbox.js';
import { orderSandboxes, type SandboxName, type SandboxPlace } from '../sandbox/sandboxes.js';
import { createChannel, type WorkerCall, type WorkerEvent } from './channel.js';
import { afterAbort, endLeft, killGroup, leave, removeOwn } from './end-worker.js';
import { type KnownSandbox, openKnownSandbox } from './known-sandbox.js';
import { allRefused, REFUSALS, type Refusal, remedyOf, said } from './refusals.js';
import type { NamespacePlan, WantedNamespace } from './user-namespace.js';
import { idsOf, inPlacePlan, mapIds, mappingName, planNamespaces } from './user-namespace.js';
import { type WorkerWatch, watchWorker } from './watch-worker.js';
import { workerCommand } from './worker-command.js';

/** The process in the namespaces. It holds no credentials; when it or we die, the other ends within a second. */
export interface WorkerProcess
	extends SandboxPlace,
		Pick<WorkerCalls['open']['response'], 'bounds' | 'notices'>,
		Pick<WorkerCalls['probe']['response'], 'less' | 'refused'> {
	/** The sandbox in which a program ran, and those that are next. */
	readonly sandboxes: readonly SandboxName[];
	/** Why this kind of user namespace. */
	readonly reason: string;
	/** What the better ones met. */
	readonly refusals: readonly Refusal[];
	/** What would help to a better kind, where an attempt has told that. */
	readonly remedy: string | undefined;
	readonly call: WorkerCall;
	/** What the sandboxed process prints when it is forwarded, to be resumed by who reads it; null with inherited streams. */
	readonly stdout: Readable | null;
	readonly stderr: Readable | null;
	/**
	 * Ends the worker and all it started, and removes the scratch directory, or moves it to `keepAs`. Never rejects. Resolves with `left` where
	 * the build was stopped and that takes longer than somebody waits: the worker then goes on with it until we end, and for seconds after.
	 */
	readonly close: (keepAs?: string) => Promise<'closed' | 'left'>;
}

export interface WorkerOptions {
	readonly store: string;
	/** Private directory of this build, in the store. */
	readonly scratch: string;
	readonly env: Readonly<Record<string, string | undefined>>;
	readonly rootfs: 'auto' | Rootfs;
	/** Whether whoever gets no namespaces and no changed root directory is to build in place. */
	readonly lastInPlace?: boolean;
	readonly userns: WantedNamespace;
	/** The sandbox that the user wants; any when undefined. */
	readonly isolation?: SandboxName | 'auto';
	readonly streams: 'forward' | 'inherit';
	/** Absolute paths of the host that must stay visible to the worker, such as volumes. */
	readonly inUse?: readonly string[];
	readonly onEvent: (event: WorkerEvent) => void;
}

const START_LIMIT_MS = 30_000;
/** Removing a copy of a large root file system takes minutes on some file systems; only a worker that hangs takes longer. */
const CLOSE_LIMIT_MS = 600_000;
/** How long a build that was stopped waits for its clean-up. */
const STOP_LIMIT_MS = 600;

/**
 * Starts the worker in the best namespaces that this user can get and in which a program ran in a sandbox. Throws HOST_NO_NAMESPACES with
 * what each attempt met; HOST_NO_SANDBOX and HOST_NO_OVERLAY where nothing but that was missing.
 */
export async function startWorker(options: WorkerOptions, signal: AbortSignal): Promise<WorkerProcess> {
	const refusals: Refusal[] = [];
	const plans = plansFor(options);
	for (const [index, plan] of plans.entries()) {
		const isLast = index === plans.length - 1;
		const reason = refusals.length === 0 ? plan.reason : said(refusals);
		const before = { reason, refusals: [...refusals], remedy: remedyOf(refusals), keepScratch: !isLast };
		const attempt = await begin(plan, options, signal).catch((error: unknown) => new Error(messageOf(error)));
		if (attempt instanceof Error) {
			signal.throwIfAborted();
			refusals.push({ plan, error: attempt });
			continue;
		}
		try {
			return await openWorker(plan, attempt, { ...options, ...before }, signal);
		} catch (error) {
			signal.throwIfAborted();
			if (!isBuildError(error, ...REFUSALS)) throw error;
			refusals.push({ plan, error });
		}
	}
	if (plans.length === 0) throw notForUs(options.userns);
	throw allRefused(refusals, options.rootfs);
}

function notForUs(userns: WorkerOptions['userns']): BuildError {
	const who = process.getuid?.() === 0 ? 'root' : 'a user other than root';
	return new BuildError('HOST_NO_NAMESPACES', `--userns ${userns} is not for ${who}`, {
		hint: 'Leave out --userns: what fits is then found.',
	});
}

function plansFor({ rootfs, userns, lastInPlace }: WorkerOptions): readonly NamespacePlan[] {
	if (isInPlace(rootfs)) return [inPlacePlan('it was asked for')];
	const uid = process.getuid?.() ?? 0;
	const plans = planNamespaces(uid, process.getgid?.() ?? 0, userns);
	const isAllowed = lastInPlace === true && rootfs === 'auto' && (userns === 'auto' || userns === 'none');
	return isAllowed ? [...plans, inPlacePlan('no namespaces were asked for')] : plans;
}

/** Starts the worker in exactly the namespaces of `plan`, and tries no sandbox. Throws an Error with what the attempt met, or what `open` throws. */
export async function startWorkerIn(
	plan: NamespacePlan,
	options: WorkerOptions,
	signal: AbortSignal,
): Promise<WorkerProcess> {
	const attempt = await begin(plan, options, signal);
	return openWorker(plan, attempt, { ...options, reason: plan.reason, refusals: [], untried: true }, signal);
}

async function begin(plan: NamespacePlan, options: WorkerOptions, signal: AbortSignal): Promise<Attempt> {
	signal.throwIfAborted();
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
	child.stdio[PARENT_FD]?.on('error', () => undefined);
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
				(child.stdio[PARENT_FD] as NodeJS.WritableStream).write('\n');
			}, reject);
		});
	return { child, ready, kill: () => killGroup(child) };
}

interface Opening
	extends WorkerOptions,
		Pick<WorkerProcess, 'reason' | 'refusals'>,
		Partial<Pick<WorkerProcess, 'remedy'>> {
	/** Whether another worker may follow, for which the scratch directory stays. */
	readonly keepScratch?: boolean;
	readonly untried?: boolean;
}

async function openWorker(
	plan: NamespacePlan,
	attempt: Attempt,
	options: Opening,
	signal: AbortSignal,
): Promise<WorkerProcess> {
	const { child } = attempt;
	const call = createChannel(child, options.onEvent, signal);
	let watch: WorkerWatch | undefined;
	const exited = new Promise<void>((resolve) => child.once('exit', () => resolve())).then(() => {
		watch?.stop();
		return endLeft(plan, child);
	});
	const end = async (how: WorkerCalls['close']['request']) => {
		const limit = setTimeout(attempt.kill, CLOSE_LIMIT_MS).unref();
		await call('close', how).catch(() => undefined);
		if (child.connected) child.disconnect();
		await exited;
		clearTimeout(limit);
	};
	const close = async (keepAs?: string) => {
		const isLate = new AbortController();
		const late = afterAbort(signal, STOP_LIMIT_MS, isLate.signal);
		const how = await Promise.race([end({ keepAs }).then(() => 'closed' as const), late]);
		isLate.abort();
		if (how === 'left') leave(child, watch);
		else removeOwn(options.scratch);
		return how;
	};
	makePath(options.store, 0o700);
	try {
		const { rootfs, proc, bounds, notices } = await call('open', openingOf(plan, options));
		if (plan.mounts && child.pid !== undefined) watch = watchWorker(child.pid, options.scratch, options.env['PATH']);
		const place = { userNamespace: plan.kind, mounts: plan.mounts, rootfs, proc };
		const order = orderSandboxes(options.isolation ?? 'auto', place);
		const known = openKnownSandbox(options.store, order, place, options.env['PATH']);
		const chosen =
			options.untried === true
				? { sandboxes: order, less: false, refused: [] }
				: await chooseSandbox(order, place, known, call);
		const { reason, refusals, remedy } = options;
		return {
			...place,
			...chosen,
			bounds,
			notices,
			remedy,
			reason,
			refusals,
			call: forgetting(known, call),
			stdout: child.stdout,
			stderr: child.stderr,
			close,
		};
	} catch (error) {
		// Whoever is stopped starts no other worker.
		await (options.keepScratch === true && !signal.aborted ? end({ stay: true }) : close());
		throw error;
	}
}

function openingOf(plan: NamespacePlan, options: Opening): WorkerCalls['open']['request'] {
	const { store, scratch, env, inUse = [] } = options;
	return {
		...{ store, scratch, inUse },
		mounts: plan.mounts,
		ownProc: plan.ownProc === true,
		rootfs: plan.inPlace === true ? 'in-place' : options.rootfs,
		version: PROTOCOL_VERSION,
		userNamespace: plan.kind,
		ids: idsOf(plan),
		mapping: mappingName(plan),
		hostPath: env['PATH'] ?? '/usr/bin:/bin',
	};
}

/** `call`, after which a sandbox that was refused is not known any more. */
function forgetting(known: KnownSandbox, call: WorkerCall): WorkerCall {
	return async (name, request) => {
		try {
			const answer = await call(name, request);
			if ('refused' in answer && answer.refused.length > 0) known.forget();
			return answer;
		} catch (error) {
			if (isBuildError(error, 'HOST_NO_SANDBOX')) known.forget();
			throw error;
		}
	};
}

/** Those of `order` from the first on in which a program ran. Throws HOST_NO_SANDBOX when there is none. */
async function chooseSandbox(
	order: readonly SandboxName[],
	{ rootfs }: SandboxPlace,
	known: KnownSandbox,
	call: WorkerCall,
): Promise<Pick<WorkerProcess, 'sandboxes' | 'less' | 'refused'>> {
	if (isInPlace(rootfs) || known.isKnown()) return { sandboxes: order, less: false, refused: [] };
	const { sandbox, less, refused } = await call('probe', { sandboxes: order });
	if (sandbox === undefined) throw noSandbox(refused);
	if (sandbox === order[0] && !less) known.remember();
	return { sandboxes: order.slice(order.indexOf(sandbox)), less, refused };
}
