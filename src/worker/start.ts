import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { BuildError, errnoOf, messageOf } from '../errors.js';
import { findProgram } from '../program.js';
import type { CallName, FromWorker, WorkerCalls } from './protocol.js';
import { PROTOCOL_VERSION } from './protocol.js';
import { countIds, mapIds, mappingName, type NamespacePlan, ownIds, planNamespaces } from './user-namespace.js';
import { fromWire } from './wire-error.js';

/** The process in the namespaces. It holds no credentials; when it or we die, the other ends within a second. */
export interface WorkerProcess {
	readonly userNamespace: NamespacePlan['kind'];
	/** Why this kind of user namespace. */
	readonly reason: string;
	readonly call: <Name extends CallName>(
		name: Name,
		request: WorkerCalls[Name]['request'],
	) => Promise<WorkerCalls[Name]['response']>;
	/** What the sandboxed process prints when it is forwarded, to be resumed by who reads it; null with inherited streams. */
	readonly stdout: Readable | null;
	readonly stderr: Readable | null;
	/** Ends the worker and all it started, and removes the scratch directory. Never rejects. */
	readonly close: () => Promise<void>;
}

export interface WorkerOptions {
	readonly store: string;
	/** Private directory of this build, in the store. */
	readonly scratch: string;
	readonly env: Readonly<Record<string, string | undefined>>;
	readonly streams: 'forward' | 'inherit';
	readonly onEvent: (event: Extract<FromWorker, { type: 'unpacked' | 'packed' }>) => void;
}

const START_LIMIT_MS = 30_000;
const CLOSE_LIMIT_MS = 10_000;
const ENTRY = fileURLToPath(new URL('./main.js', import.meta.url));
/** Waits for its ids to be mapped before it becomes Node, since only an exec as a mapped root gains capabilities. */
const WAIT = 'read -r _ <&4 || exit 1; exec "$0" "$@" 4<&-';

/** Starts the worker in the best namespaces that this user can get. Throws HOST_NO_NAMESPACES with what each attempt met. */
export async function startWorker(options: WorkerOptions, signal: AbortSignal): Promise<WorkerProcess> {
	const failures: string[] = [];
	for (const plan of planNamespaces(process.getuid?.() ?? 0, process.getgid?.() ?? 0)) {
		const attempt = spawnWorker(plan, options);
		try {
			await attempt.ready(signal);
		} catch (error) {
			attempt.kill();
			signal.throwIfAborted();
			failures.push(messageOf(error));
			continue;
		}
		const reason = failures.length === 0 ? plan.reason : failures.join('; ');
		return openWorker(plan, reason, attempt, options, signal);
	}
	throw new BuildError('HOST_NO_NAMESPACES', `this host gives us no namespaces to build in: ${failures.join('; ')}`, {
		hint:
			'Allow user namespaces (sysctl user.max_user_namespaces=28633; Ubuntu 24.04: kernel.apparmor_restrict_unprivileged_userns=0), ' +
			'or run the job with hostUsers: false or as root with CAP_SYS_ADMIN.',
	});
}

interface Attempt {
	readonly child: ChildProcess;
	readonly ready: (signal: AbortSignal) => Promise<void>;
	readonly kill: () => void;
}

function spawnWorker(plan: NamespacePlan, options: WorkerOptions): Attempt {
	const path = options.env['PATH'];
	const program = findProgram('unshare', path) ?? 'unshare';
	const user = plan.kind === 'none' ? [] : ['--user'];
	const wait = plan.kind === 'none' ? [] : ['/bin/sh', '-c', WAIT];
	const streams =
		options.streams === 'inherit'
			? (['inherit', 'inherit', 'inherit'] as const)
			: (['ignore', 'pipe', 'pipe'] as const);
	const child = spawn(
		program,
		[...user, '--mount', '--pid', '--fork', '--kill-child', '--', ...wait, process.execPath, '--no-warnings', ENTRY],
		{
			stdio: [...streams, 'ipc', 'pipe'],
			env: { PATH: path ?? '/usr/bin:/bin', LC_ALL: 'C' },
			cwd: '/',
			detached: true,
		},
	);
	const complaints: string[] = [];
	const complain = (chunk: Buffer) => void complaints.push(chunk.toString());
	child.stderr?.on('data', complain);
	child.stdio[4]?.on('error', () => undefined);
	const ready = (signal: AbortSignal) =>
		new Promise<void>((resolve, reject) => {
			const gone = () => reject(new Error(complaints.join('').trim().split('\n').at(-1) ?? 'unshare failed'));
			const late = setTimeout(() => reject(new Error('the worker did not start in time')), START_LIMIT_MS);
			late.unref();
			child.once('error', (error) => reject(new Error(`unshare (package util-linux): ${messageOf(error)}`)));
			child.once('exit', gone);
			child.once('message', () => {
				clearTimeout(late);
				child.off('exit', gone);
				child.stderr?.off('data', complain);
				child.stderr?.pause();
				resolve();
			});
			if (plan.kind === 'none' || child.pid === undefined) return;
			mapIds(child.pid, plan, path, signal).then(() => {
				(child.stdio[4] as NodeJS.WritableStream).end('\n');
			}, reject);
		});
	return { child, ready, kill: () => void child.kill('SIGKILL') };
}

async function openWorker(
	plan: NamespacePlan,
	reason: string,
	attempt: Attempt,
	options: WorkerOptions,
	signal: AbortSignal,
): Promise<WorkerProcess> {
	const { child } = attempt;
	const call = createChannel(child, options.onEvent, signal);
	const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
	const close = async () => {
		const limit = setTimeout(attempt.kill, CLOSE_LIMIT_MS);
		await call('close', {}).catch(() => undefined);
		if (child.connected) child.disconnect();
		if (child.exitCode === null && child.signalCode === null) await exited;
		clearTimeout(limit);
		removeOwn(options.scratch);
	};
	const ids =
		plan.kind === 'none'
			? { uids: ownIds('uid'), gids: ownIds('gid') }
			: { uids: countIds(plan.uids), gids: countIds(plan.gids) };
	const { store, scratch, env } = options;
	const base = { version: PROTOCOL_VERSION, userNamespace: plan.kind, ids, mapping: mappingName(plan), store, scratch };
	mkdirSync(store, { recursive: true, mode: 0o700 });
	try {
		await call('open', { ...base, hostPath: env['PATH'] ?? '/usr/bin:/bin' });
	} catch (error) {
		await close();
		throw error;
	}
	return { userNamespace: plan.kind, reason, call, stdout: child.stdout, stderr: child.stderr, close };
}

/** What belongs to other ids of a worker that was killed, only the next worker can remove. */
function removeOwn(scratch: string): void {
	try {
		rmSync(scratch, { recursive: true, force: true, maxRetries: 1 });
	} catch (error) {
		if (errnoOf(error) === undefined) throw error;
	}
}

interface Waiting {
	readonly resolve: (value: unknown) => void;
	readonly reject: (error: Error) => void;
}

/** Calls that are under way when `signal` is aborted reject with its reason; `close` is always answered. */
function createChannel(
	child: ChildProcess,
	onEvent: WorkerOptions['onEvent'],
	signal: AbortSignal,
): WorkerProcess['call'] {
	const waiting = new Map<number, Waiting>();
	let last = 0;
	let ended: BuildError | undefined;
	const settle = (id: number, end: (call: Waiting) => void) => {
		const call = waiting.get(id);
		waiting.delete(id);
		if (call !== undefined) end(call);
	};
	child.on('message', (message: FromWorker) => {
		if (message.type === 'answer') settle(message.id, ({ resolve }) => resolve(message.response));
		else if (message.type === 'failure') settle(message.id, ({ reject }) => reject(fromWire(message.error)));
		else if (message.type !== 'ready') onEvent(message);
	});
	signal.addEventListener('abort', () => {
		for (const { reject } of waiting.values()) reject(signal.reason as Error);
		waiting.clear();
	});
	child.once('exit', (code, killer) => {
		ended = workerGone(code, killer);
		for (const { reject } of waiting.values()) reject(ended);
		waiting.clear();
	});
	return (name, request) =>
		new Promise((resolve, reject) => {
			const refused = ended ?? (signal.aborted && name !== 'close' ? (signal.reason as Error) : undefined);
			if (refused !== undefined) {
				reject(refused);
				return;
			}
			const id = ++last;
			waiting.set(id, { resolve, reject } as Waiting);
			child.send({ id, call: name, request }, (error) => {
				if (error !== null) reject(ended ?? error);
			});
		});
}

function workerGone(code: number | null, signal: NodeJS.Signals | null): BuildError {
	return new BuildError(
		'HOST_WORKER',
		`the build's worker process ended unexpectedly (${signal ?? `status ${String(code)}`})`,
		{
			hint: 'If the machine ran out of memory, give the job more. What was half made is removed by the next build.',
		},
	);
}
