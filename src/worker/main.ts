import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BuildError, messageOf } from '../errors.js';
import { type Libc, loadLibc } from '../linux/libc.js';
import { type LayerStore, openLayerStore } from '../rootfs/layer-store.js';
import { probeOverlay } from '../rootfs/overlay.js';
import { ownable } from '../rootfs/owner.js';
import type { BindMount } from '../sandbox/sandbox.js';
import type { execute } from './execute.js';
import { hideCgroups } from './hide-cgroups.js';
import { type MountTarget, openMountTarget } from './mount-target.js';
import { type CallName, type FromWorker, PROTOCOL_VERSION, type Request, type WorkerCalls } from './protocol.js';
import { mountRootFilesystem, type RootFilesystem } from './root-filesystem.js';
import { lockScratch, removeScratch } from './scratch.js';
import { unpackLayers } from './unpack.js';
import { toWire } from './wire-error.js';

type Calls = {
	readonly [Name in CallName]: (
		request: WorkerCalls[Name]['request'],
	) => WorkerCalls[Name]['response'] | Promise<WorkerCalls[Name]['response']>;
};

interface Session extends Readonly<Omit<WorkerCalls['open']['request'], 'version'>> {
	readonly libc: Libc;
	readonly layers: LayerStore;
	readonly target: MountTarget;
}

/** When a process has begun, what packing will need is read while this end has nothing else to do. */
const WARM_MS = 100;
const LAYERS_FORMAT = 'layers-1';
/** How long calls under way may take to notice that they were stopped. */
const SETTLE_MS = 5000;

function createCalls(
	send: (message: FromWorker) => void,
	stop: AbortController,
	settled: () => Promise<unknown>,
): Calls {
	let opened: Session | undefined;
	let mounted: RootFilesystem | undefined;
	let binds: readonly BindMount[] = [];
	const session = (): Session => required(opened, 'open');
	const root = (): RootFilesystem => required(mounted, 'mount');
	return {
		open: async (request) => {
			opened = await openSession(request);
			return { version: PROTOCOL_VERSION };
		},
		present: ({ diffIds }) => ({ present: diffIds.filter((diffId) => session().layers.has(diffId)) }),
		unpack: async ({ layers, blobSocket }) => {
			const { layers: store, scratch, ids } = session();
			return { lostXattrs: await unpackLayers(layers, { store, scratch, blobSocket, ids, send }, stop.signal) };
		},
		mount: ({ diffIds }) => {
			mounted = mountRootFilesystem(diffIds, {
				...session(),
				store: session().layers,
				target: session().target.rootfs,
			});
			return {};
		},
		inspect: ({ stat, read }) => ({ found: root().inspect(stat, read) }),
		prepare: (request) => {
			const mounts = root().prepare(request);
			binds = mounts.map((bind) => ({ ...bind, source: session().target.expose(bind.source) }));
			return {};
		},
		execute: (request) => {
			const { userNamespace, ids } = session();
			if (userNamespace !== 'single' && !ownable(request.process.user, ids)) throw unmapped(request.process.user.uid);
			process.umask(0o022);
			const spec = { rootfs: root().path, binds, userNamespace };
			const ended = loadExecute().then(({ execute }) => execute(request, { ...session(), spec }, stop.signal));
			if (request.streams === 'forward') setTimeout(root().warm, WARM_MS);
			return ended;
		},
		diff: (request) => ({ statistics: root().diff(request) }),
		pack: (request) => root().pack(request, (bytes) => send({ type: 'packed', bytes }), stop.signal),
		close: async () => {
			stop.abort();
			await settled();
			try {
				mounted?.unmount();
			} finally {
				if (opened !== undefined) removeScratch(opened.scratch);
			}
			return {};
		},
	};
}

async function openSession(request: WorkerCalls['open']['request']): Promise<Session> {
	if (request.version !== PROTOCOL_VERSION) throw new Error('the worker is of another version; reinstall s2oci');
	const libc = await loadLibc();
	if (libc === undefined) {
		throw new BuildError('HOST_NO_OVERLAY', 'koffi has no binary for this platform, so nothing can be mounted', {
			hint: 'Install s2oci with its optional dependencies (npm install without --omit=optional) on x64 or arm64.',
		});
	}
	mkdirSync(request.scratch, { recursive: true, mode: 0o700 });
	lockScratch(request.scratch, libc);
	libc.dieWithParent();
	libc.closeOnExec(3);
	mountProc(libc);
	probeOverlay(request.scratch, libc);
	hideCgroups(libc);
	const layers = openLayerStore(join(request.store, LAYERS_FORMAT, request.mapping));
	return { ...request, libc, layers, target: openMountTarget(request.scratch, libc) };
}

/** The pid namespace needs a /proc of its own, which a container whose own /proc is masked may not mount. */
function mountProc(libc: Libc): void {
	try {
		libc.mount('proc', '/proc', 'proc', 0, '');
	} catch (error) {
		throw new BuildError('HOST_NO_NAMESPACES', `a new /proc could not be mounted: ${messageOf(error)}`, {
			hint:
				'The container that this runs in masks parts of /proc. Run the job with procMount: Unmasked (Kubernetes), ' +
				'--security-opt systempaths=unconfined (Docker) or unmask=ALL (Podman), or as root with CAP_SYS_ADMIN.',
			cause: error,
		});
	}
}

/** Loaded once the worker has answered that it is ready, since execa takes longer to load than all the rest. */
function loadExecute(): Promise<{ readonly execute: typeof execute }> {
	return import('./execute.js');
}

function unmapped(uid: number): BuildError {
	return new BuildError(
		'HOST_NO_NAMESPACES',
		`the image's user ${String(uid)} is outside of the ids that this user may map`,
		{
			hint: 'Give the user that runs s2oci a larger range in /etc/subuid and /etc/subgid, or none, which maps every user to itself.',
		},
	);
}

function required<T>(value: T | undefined, call: string): T {
	if (value === undefined) throw new Error(`the worker was asked for something before '${call}'`);
	return value;
}

/** Answers calls one by one as they end, until it is closed or the other end is gone; then nothing of the build is left. */
function serve(): void {
	process.umask(0);
	const stop = new AbortController();
	const send = (message: FromWorker) => void process.send?.(message, () => undefined);
	const running = new Set<Promise<void>>();
	const settled = () => Promise.race([Promise.allSettled(running), delay(SETTLE_MS)]);
	const calls = createCalls(send, stop, settled);
	const end = async () => {
		try {
			await calls.close({});
		} finally {
			process.exit(0);
		}
	};
	process.on('disconnect', () => void end());
	for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined);
	process.on('message', (message: Request) => {
		const call = calls[message.call] as (request: unknown) => unknown;
		const answered = new Promise((resolve) => resolve(call(message.request))).then(
			(response) => send({ type: 'answer', id: message.id, response }),
			(error: unknown) => send({ type: 'failure', id: message.id, error: toWire(error) }),
		);
		if (message.call === 'close') return;
		running.add(answered);
		void answered.finally(() => running.delete(answered));
	});
	send({ type: 'ready' });
	setImmediate(() => void loadExecute());
}

serve();
