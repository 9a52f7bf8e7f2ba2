import { dirname, join } from 'node:path';
import { BuildError } from '../errors.js';
import type { Digest } from '../oci/digest.js';
import type { FromWorker } from '../protocol/messages.js';
import { type CallName, PROTOCOL_VERSION, type RootName, type WorkerCalls } from '../protocol/worker-calls.js';
import { rawPath } from '../root-path.js';
import { readHolds } from '../rootfs/layer-hold.js';
import { ownable } from '../rootfs/owner.js';
import { pruneLayers } from '../rootfs/prune.js';
import { listLayers } from '../rootfs/stored-layers.js';
import { isInPlace } from '../sandbox/ladder.js';
import type { BindMount } from '../sandbox/sandbox.js';
import { keepHeapSmall } from '../small-heap.js';
import { copyArtifacts, copyFiles } from './copy-files.js';
import type { ExecuteContext, execute } from './execute.js';
import { placeBinds, showBinds } from './host-binds.js';
import { furnishRoot } from './make-devices.js';
import { openSession, type WorkerSession } from './open-session.js';
import { removeLargeTree } from './remove-large-tree.js';
import { mountRootFilesystem, type RootFilesystem } from './root-filesystem.js';
import { removeAbandoned, removeScratch, unlockScratch } from './scratch.js';
import { unpackLayers } from './unpack.js';

type Calls = {
	readonly [Name in CallName]: (
		request: WorkerCalls[Name]['request'],
	) => WorkerCalls[Name]['response'] | Promise<WorkerCalls[Name]['response']>;
};

interface MountedRoot {
	readonly filesystem: RootFilesystem;
	/** What the next process sees of the host. */
	readonly binds: readonly BindMount[];
	/** Undoes the mounts that the binds took. */
	readonly release: () => void;
}

/** What the calls of one worker share. */
interface State {
	readonly session: () => WorkerSession;
	readonly root: (name: RootName) => RootFilesystem;
	readonly mounted: Map<RootName, MountedRoot>;
	readonly unmount: (name: RootName) => void;
	readonly send: (message: FromWorker) => void;
	readonly signal: AbortSignal;
}

/** When a process has begun, what packing will need is read while this end has nothing else to do. */
const WARM_MS = 100;

/** Every call of the protocol. `settled` resolves when those under way have ended, which `close` waits for. */
export function createCalls(
	send: (message: FromWorker) => void,
	stop: AbortController,
	settled: () => Promise<unknown>,
): Calls {
	let opened: WorkerSession | undefined;
	const mounted = new Map<RootName, MountedRoot>();
	const unmount = (name: RootName) => {
		mounted.get(name)?.release();
		mounted.get(name)?.filesystem.unmount();
		mounted.delete(name);
	};
	const session = (): WorkerSession => required(opened, 'open');
	const root = (name: RootName): RootFilesystem => required(mounted.get(name)?.filesystem, 'mount');
	const state: State = { session, root, mounted, unmount, send, signal: stop.signal };
	return {
		open: async (request) => {
			opened = await openSession(request, (message) => send({ type: 'notice', message }));
			const { rootfs, proc, bounds, notices, scratch, libc } = opened;
			// Only once it is answered, our parent is watched, and we end with it whatever we do.
			setImmediate(() => removeAbandoned(scratch, libc));
			return { version: PROTOCOL_VERSION, rootfs, proc, bounds, notices };
		},
		probe: async ({ sandboxes }) => {
			const { probeSandboxes } = await import('./probe.js');
			return probeSandboxes(sandboxes, session(), stop.signal);
		},
		...createLayerCalls(state),
		...createRootCalls(state),
		...createProcessCalls(state),
		...createCopyCalls(state),
		...createObservationCalls(state),
		close: async ({ keepAs, stay }) => {
			stop.abort();
			await settled();
			try {
				for (const name of [...mounted.keys()]) unmount(name);
			} finally {
				if (opened !== undefined && stay === true) unlockScratch(opened.scratch);
				else if (opened !== undefined) await removeScratch(opened.scratch, keepAs);
				// The end of the channel closes once more, when the next worker may be in the directory.
				if (stay === true) opened = undefined;
			}
			return {};
		},
	};
}

function createLayerCalls(state: State): Pick<Calls, 'present' | 'unpack' | 'listLayers' | 'pruneLayers'> {
	const { session, send, signal } = state;
	const hold = (diffIds: readonly Digest[]) => {
		const { layers, hold: holdLayers } = session();
		return holdLayers(
			diffIds.map((diffId) => dirname(layers.rootOf(diffId))),
			signal,
		);
	};
	return {
		present: async ({ diffIds }) => {
			await hold(diffIds);
			return { present: diffIds.filter((diffId) => session().layers.has(diffId)) };
		},
		listLayers: async () => {
			const { store, libc } = session();
			return { layers: await listLayers(store, signal, libc), held: [...readHolds(store)] };
		},
		pruneLayers: ({ policy, dryRun }) => {
			const { store, scratch, libc, mapping, userNamespace } = session();
			const removable = (other: string) => isRemovable(other, mapping, userNamespace);
			return pruneLayers({ store, scratch, libc, removable, dryRun }, policy, signal);
		},
		unpack: async ({ layers, blobSocket }) => {
			await hold(layers.map(({ diffId }) => diffId));
			const { layers: store, scratch, ids, whiteouts, rootfs } = session();
			const context = { store, scratch, blobSocket, ids, whiteouts, indexOnly: isInPlace(rootfs), send };
			return { lostXattrs: await unpackLayers(layers, context, signal) };
		},
	};
}

/** What was unpacked under other subordinate ids than ours, only root and its owner can remove. */
function isRemovable(mapping: string, own: string, userNamespace: WorkerSession['userNamespace']): boolean {
	const isRoot = userNamespace === 'none' && process.getuid?.() === 0;
	const idsOf = (name: string) => name.replace(/-copy$/, '');
	return isRoot || idsOf(mapping) === idsOf(own) || !mapping.startsWith('full-');
}

function createRootCalls(
	state: State,
): Pick<Calls, 'adopt' | 'mount' | 'unmount' | 'inspect' | 'prepare' | 'diff' | 'listChanges' | 'pack'> {
	const { session, root, mounted, unmount, send, signal } = state;
	return {
		adopt: async (request) => ({ compared: await required(session().live, 'open').adopt(request, signal) }),
		mount: async ({ root: name, diffIds }) => {
			const { layers: store, target, scratch, libc, ids, rootfs, live } = session();
			if (isInPlace(rootfs)) {
				mounted.set(name, unbound(required(live, 'open').mount(diffIds, signal)));
				return {};
			}
			const context = { store, libc, ids, rootfs, scratch: join(scratch, name), target: target(name) };
			mounted.set(name, unbound(await mountRootFilesystem(diffIds, context, signal)));
			return {};
		},
		unmount: async ({ root: name }) => {
			unmount(name);
			await removeLargeTree(rawPath(join(session().scratch, name)));
			return {};
		},
		inspect: ({ root: name, stat, read }) => ({ found: root(name).inspect(stat, read) }),
		prepare: async (request) => {
			const filesystem = root(request.root);
			const { libc, ids, mounts, rootfs } = session();
			const wanted = await filesystem.prepare(request);
			// The root directory is the job's own: its /dev is not to be touched.
			if (isInPlace(rootfs)) return {};
			const owner = request.user ?? { uid: 0, gid: 0 };
			mounted.get(request.root)?.release();
			mounted.set(request.root, unbound(filesystem));
			if (mounts) {
				const shown = showBinds(wanted, owner, { directory: dirname(filesystem.path), libc, ids });
				mounted.set(request.root, { filesystem, ...shown });
			} else {
				furnishRoot(filesystem.path, libc);
				const release = placeBinds(filesystem.path, wanted, owner, { libc, ids });
				mounted.set(request.root, { ...unbound(filesystem), release });
			}
			return {};
		},
		diff: (request) => ({ statistics: root(request.root).diff(request) }),
		listChanges: ({ root: name }) => ({ changes: root(name).listChanges() }),
		pack: (request) => {
			keepHeapSmall();
			return root(request.root).pack(request, (bytes) => send({ type: 'packed', bytes }), signal);
		},
	};
}

function unbound(filesystem: RootFilesystem): MountedRoot {
	return { filesystem, binds: [], release: () => undefined };
}

function createProcessCalls(state: State): Pick<Calls, 'execute' | 'saveArtifacts' | 'restoreArtifacts'> {
	const { session, signal } = state;
	return {
		execute: async (request) => {
			const { filesystem, context } = beginProcess(request, state);
			if (request.streams === 'forward') setTimeout(filesystem.warm, WARM_MS);
			const { execute } = await loadExecute();
			return execute(request, context, signal);
		},
		saveArtifacts: async (request) => {
			const { context } = beginProcess(request, state);
			const { saveArtifacts } = await import('./artifacts.js');
			return saveArtifacts(request, context, signal);
		},
		restoreArtifacts: async (request) => {
			const { restoreArtifacts } = await import('./artifacts.js');
			return restoreArtifacts(request, session(), signal);
		},
	};
}

function beginProcess(
	request: Pick<WorkerCalls['execute']['request'], 'root' | 'process'>,
	{ session, mounted }: State,
): { readonly filesystem: RootFilesystem; readonly context: WorkerSession & ExecuteContext } {
	const { userNamespace, ids, mounts, proc } = session();
	if (ids.uids > 1 && !ownable(request.process.user, ids)) throw unmapped(request.process.user.uid);
	const { filesystem, binds } = required(mounted.get(request.root), 'mount');
	filesystem.turn(request.process.user);
	return {
		filesystem,
		context: { ...session(), spec: { rootfs: filesystem.path, binds, userNamespace, mounts, proc } },
	};
}

function createCopyCalls({
	session,
	root,
	signal,
}: State): Pick<Calls, 'copyFiles' | 'copyArtifacts' | 'copyToSource'> {
	const target = (name: RootName) => {
		const { ids, libc, scratch } = session();
		return { ...root(name).copyTarget(), ids, libc, scratch };
	};
	const origin = (name: RootName) => {
		const { path, inodes, shown } = root(name);
		return { root: rawPath(path), inodeOf: inodes(), shown: shown() };
	};
	return {
		copyFiles: (request) => copyFiles(request, target(request.root), signal),
		copyArtifacts: (request) => copyArtifacts(request, origin(request.from), target(request.to), signal),
		copyToSource: ({ from, to, artifacts }) => {
			const { ids, libc } = session();
			const source = { root: rawPath(to), ids, libc, claim: () => undefined, isSource: true };
			return copyArtifacts({ artifacts, owner: { uid: 0, gid: 0 } }, origin(from), source, signal);
		},
	};
}

/** Loaded once the worker has answered that it is ready, since execa takes longer to load than all the rest. */
export function loadExecute(): Promise<{ readonly execute: typeof execute }> {
	return import('./execute.js');
}

/** Loaded by the few commands that look into a sandbox. */
function createObservationCalls({ session, signal }: State): Pick<Calls, 'look' | 'ask' | 'signal'> {
	const load = () => import('./observe.js');
	return {
		look: async () => (await load()).look(session()),
		ask: async ({ questions }) => ({ answers: await (await load()).ask(questions, session(), signal) }),
		signal: async ({ signal: name }) => {
			(await load()).signalSandbox(name, await (await load()).findSandboxed(session()));
			return {};
		},
	};
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
