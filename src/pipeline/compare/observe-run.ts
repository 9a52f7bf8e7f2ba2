import { setTimeout as delay } from 'node:timers/promises';
import type { WorkerProcess } from '../../host/start-worker.js';
import type { Answer, Listening, Question, Seen } from '../../protocol/observation.js';
import type { Limits } from '../../sandbox/limits.js';
import type { ContainerProcess } from '../../sandbox/sandbox.js';
import type { Root, RunEnded } from '../root.js';
import type { Exposed } from './exposed.js';

/** What was seen of one run of an image. */
export interface RunSeen {
	/** How it ended by itself; undefined when it had to be told to. */
	readonly ended: number | undefined;
	/** ms from the start until all ports that the image exposes listened, or else any; undefined when that did not come. */
	readonly readyAfter: number | undefined;
	readonly listening: readonly Listening[];
	readonly answers: readonly (readonly [Question, Answer])[];
	/** Users and commands that were there when it was ready and after it was asked. */
	readonly processes: readonly string[];
	/** Bytes, of all its processes at one moment. */
	readonly memory: number;
	/** What came of SIGTERM; undefined when it was not sent. */
	readonly stopped: number | 'ignored' | undefined;
	/** The first paths that it changed. */
	readonly changes: readonly string[];
}

/** How a run is observed. */
export interface ObserveOptions {
	readonly process: ContainerProcess;
	readonly limits: Limits;
	readonly exposed: Exposed;
	/** Whether any port will do, because the program was told of another one than it exposes. */
	readonly anyPort: boolean;
	/** How long it may take to be ready, in ms. */
	readonly readyTimeout: number;
	/** Absolute paths whose content does not count. */
	readonly excluded: readonly string[];
}

/** What is asked of each port. The last is a page that no program has. */
const PATHS = ['/', '/health', '/robots.txt', '/s2oci-compare-no-such-page'] as const;
const MAX_PORTS = 8;
const LOOK_MS = 40;
/** How long ports have to stay as they are before they are asked. */
const SETTLE_MS = 300;
/** How long exposed ports are waited for once others listen. */
const OTHER_MS = 3000;
/** How long a program may take that listens nowhere and exposes nothing. */
const SILENT_MS = 3000;
const STOP_MS = 2000;

/** Runs the process in `root`, looks at it until nothing changes any more, asks it, and stops it. */
export async function observeRun(
	root: Root,
	worker: WorkerProcess,
	options: ObserveOptions,
	signal: AbortSignal,
): Promise<RunSeen> {
	const before = worker.mounts ? [] : (await worker.call('look', {})).listening;
	const isNew = ({ port, family }: Listening) => !before.some((one) => one.port === port && one.family === family);
	let ended: RunEnded | undefined;
	const started = performance.now();
	const running = root.run({ process: options.process, limits: options.limits }).then((end) => {
		ended = end;
	});
	// It is waited for below, whatever comes between.
	running.catch(() => undefined);
	const watch = createWatch(async () => {
		const seen = await worker.call('look', {});
		return { ...seen, listening: seen.listening.filter(isNew) };
	});
	const over = new AbortController();
	void running.then(
		() => over.abort(),
		() => over.abort(),
	);
	try {
		const readyAfter = await untilReady(watch, options, { started, signal: AbortSignal.any([signal, over.signal]) });
		const first = await watch.look();
		const answers = over.signal.aborted ? [] : await askAll(first.listening, worker);
		const last = await watch.look();
		const byItself = ended?.status;
		const stopped = over.signal.aborted ? undefined : await stop(worker, over.signal, () => ended?.status);
		await running;
		const changes = await changesIn(root, options);
		return {
			ended: byItself,
			readyAfter,
			// A server may end with the first request.
			listening: first.listening,
			answers,
			processes: processesIn(first, last),
			memory: watch.memory(),
			stopped,
			changes,
		};
	} finally {
		await worker.call('signal', { signal: 'SIGKILL' }).catch(() => undefined);
	}
}

interface Watch {
	readonly look: () => Promise<Seen>;
	/** The most memory that was seen. */
	readonly memory: () => number;
}

function createWatch(look: () => Promise<Seen>): Watch {
	let most = 0;
	return {
		look: async () => {
			const seen = await look();
			most = Math.max(
				most,
				seen.processes.reduce((sum, { memory }) => sum + memory, 0),
			);
			return seen;
		},
		memory: () => most,
	};
}

/** Resolves when the ports listen, and have not changed for a moment, or nobody waits any longer. */
async function untilReady(
	watch: Watch,
	{ exposed, anyPort, readyTimeout }: ObserveOptions,
	{ started, signal }: { readonly started: number; readonly signal: AbortSignal },
): Promise<number | undefined> {
	const limit = exposed.ports.length > 0 ? readyTimeout : Math.min(readyTimeout, SILENT_MS);
	const isReady = (open: ReadonlySet<number>) =>
		open.size > 0 && (anyPort || exposed.ports.every((port) => open.has(port)));
	let ready: number | undefined;
	let ports = '';
	let settled = started;
	while (!signal.aborted) {
		const { listening } = await watch.look();
		const now = performance.now();
		const open = new Set(listening.map(({ port }) => port));
		const text = [...open].sort().join();
		if (text !== ports) [ports, settled] = [text, now];
		ready = isReady(open) ? (ready ?? now - started) : undefined;
		if (ready !== undefined && now - settled >= SETTLE_MS) return ready;
		const isOther = open.size > 0 && now - settled >= OTHER_MS;
		if (isOther || now - started >= limit) return ready;
		await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
	}
	return ready;
}

async function askAll(
	listening: readonly Listening[],
	worker: WorkerProcess,
): Promise<readonly (readonly [Question, Answer])[]> {
	const ports = new Map<number, Listening>();
	for (const row of listening)
		if (row.address !== 'other' && ports.get(row.port)?.family !== 4) ports.set(row.port, row);
	const chosen = [...ports.values()].sort((a, b) => a.port - b.port).slice(0, MAX_PORTS);
	const questions = chosen.flatMap(({ port, family }) => PATHS.map((path) => ({ port, family, path })));
	if (questions.length === 0) return [];
	const { answers } = await worker.call('ask', { questions });
	return answers.flatMap((answer, index) => {
		const question = questions[index];
		return question === undefined ? [] : [[question, answer] as const];
	});
}

async function stop(
	worker: WorkerProcess,
	over: AbortSignal,
	status: () => number | undefined,
): Promise<RunSeen['stopped']> {
	await worker.call('signal', { signal: 'SIGTERM' });
	await delay(STOP_MS, undefined, { signal: over }).catch(() => undefined);
	if (over.aborted) return status();
	await worker.call('signal', { signal: 'SIGKILL' });
	return 'ignored';
}

/** What comes and goes in between differs from run to run. */
function processesIn(first: Seen, last: Seen): readonly string[] {
	const stayed = new Set(first.processes.map(({ pid }) => pid));
	return last.processes
		.filter(({ pid }) => stayed.has(pid))
		.map(({ uid, command }) => (uid === undefined ? command : `user ${uid}: ${command}`));
}

async function changesIn(root: Root, { process, excluded }: ObserveOptions): Promise<readonly string[]> {
	await root.diff({ assembleUser: process.user, excluded });
	return (await root.listChanges()).map(({ path, change }) => `${change} ${path}`);
}
