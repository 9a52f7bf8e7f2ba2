import { statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { attempt, BuildError, messageOf, succeeds } from '../errors.js';
import { realOf } from '../host-path.js';
import { mayBecomeAnyone, ownIds } from '../linux/capabilities.js';
import { type Libc, loadLibc, MS_NODEV, MS_NOSUID } from '../linux/libc.js';
import { libcWithoutKoffi } from '../linux/without-koffi.js';
import { makePath } from '../make-path.js';
import { PROTOCOL_VERSION, type WorkerCalls } from '../protocol/worker-calls.js';
import { isWithin, rawPath } from '../root-path.js';
import { canMakeWhiteouts } from '../rootfs/layer-disk.js';
import { type HoldLayers, openLayerHold } from '../rootfs/layer-hold.js';
import { type LayerStore, openLayerStore } from '../rootfs/layer-store.js';
import { probeOverlay } from '../rootfs/overlay.js';
import { describeLandlock } from '../sandbox/job-bounds.js';
import { isInPlace, type Rootfs } from '../sandbox/ladder.js';
import type { Proc, SandboxName } from '../sandbox/sandboxes.js';
import { type Cgroups, hideCgroups, openCgroups } from './cgroup.js';
import { type InPlace, openInPlaceRoot } from './in-place.js';
import { lockScratch, unlockScratch } from './scratch.js';

/** What a worker holds from `open` to `close`. */
export interface WorkerSession
	extends Readonly<Omit<WorkerCalls['open']['request'], 'version' | 'rootfs'>>,
		Omit<WorkerCalls['open']['response'], 'version'> {
	readonly libc: Libc;
	readonly layers: LayerStore;
	readonly hold: HoldLayers;
	/** Makes the empty directory where the root filesystem of this name is mounted; undefined where nothing can be mounted. */
	readonly target: (name: string) => string | undefined;
	readonly cgroups: Cgroups;
	/** The sandboxes that are known to need less here. */
	readonly needLess: Set<SandboxName>;
	/** Only when the root filesystem is that of the job itself. */
	readonly live: InPlace | undefined;
	/** Whether the layers of this mapping have their whiteouts on disk. */
	readonly whiteouts: boolean;
}

/** Directories that are there and are rarely used for anything. */
const CANDIDATES: readonly string[] = [
	'/mnt',
	'/media',
	'/srv',
	'/opt',
	'/var/opt',
	'/var/local',
	'/usr/local/games',
	'/usr/games',
	'/boot',
	'/var/mail',
];

const LAYERS_FORMAT = 'layers-1';
const INDEXES_FORMAT = 'indexes-1';

/** Makes this process the worker of one build, which tells people by `notice`. Throws HOST_NO_OVERLAY, HOST_NO_NAMESPACES. */
export async function openSession(
	request: WorkerCalls['open']['request'],
	notice: (message: string) => void,
): Promise<WorkerSession> {
	if (request.version !== PROTOCOL_VERSION) throw new Error('the worker is of another version; reinstall s2oci');
	const libc = await loadLibc();
	if (isInPlace(request.rootfs)) return openInPlace(request, libc, notice);
	if (libc === undefined) {
		throw new BuildError('HOST_NO_OVERLAY', 'koffi has no binary for this platform, so nothing can be mounted', {
			hint: 'Install s2oci with its optional dependencies (npm install without --omit=optional) on x64 or arm64.',
		});
	}
	makeScratch(request);
	lockScratch(request.scratch, libc);
	try {
		return openLocked(request, libc);
	} catch (error) {
		unlockScratch(request.scratch);
		throw error;
	}
}

function openLocked(request: WorkerCalls['open']['request'], libc: Libc): WorkerSession {
	// Without a pid namespace we outlive our parent for as long as it takes to end what assemble started.
	if (request.mounts) libc.dieWithParent();
	libc.closeOnExec(3);
	libc.leaveKeyring();
	const cgroups = openCgroups(request.scratch, libc, !request.mounts);
	const { rootfs, proc } = request.mounts ? openNamespaces(request, libc) : openPlain(request, libc);
	const whiteouts = rootfs === 'overlay' || canMakeWhiteouts(request.scratch, libc);
	// No overlay may ever mount a layer without its whiteouts: it would show what the layer deletes.
	const mapping = whiteouts ? request.mapping : `${request.mapping}-copy`;
	const layers = openLayerStore(join(request.store, LAYERS_FORMAT, mapping));
	const hold = openLayerHold(request.store, request.scratch, libc);
	const target = request.mounts ? openMountTarget(request, libc) : () => undefined;
	const bounds = request.mounts ? [] : describeLandlock(libc.landlockReach());
	const own = { mapping, libc, layers, hold, rootfs, proc, whiteouts, cgroups, target };
	return { ...request, ...own, needLess: new Set(), live: undefined, bounds, notices: [] };
}

/** The parent made it, but may do more: root of a namespace, or without capabilities, enters no directory of another user. */
function makeScratch({ scratch, store }: WorkerCalls['open']['request']): void {
	const make = () => {
		makePath(scratch, 0o700);
	};
	if (succeeds(make, ['EACCES', 'EPERM'])) return;
	throw new BuildError('HOST_STORE', `the worker of this build may not enter the store ${store}`, {
		hint: 'Name a directory that this user owns, below directories that anybody may enter, with --store DIR or S2OCI_STORE.',
	});
}

/** Nothing is mounted or unpacked, so koffi is not needed. */
function openInPlace(
	request: WorkerCalls['open']['request'],
	loaded: Libc | undefined,
	notice: (message: string) => void,
): WorkerSession {
	const { store, scratch } = request;
	makeScratch(request);
	const libc = loaded ?? libcWithoutKoffi(scratch);
	lockScratch(scratch, libc);
	libc.closeOnExec(3);
	libc.leaveKeyring();
	libc.adoptOrphans();
	const layers = openLayerStore(join(store, INDEXES_FORMAT));
	const hold = openLayerHold(store, scratch, libc);
	const cgroups = openCgroups(scratch, libc, true);
	// As another user, assemble makes files that are that user's, and all owners on disk are those of the image.
	const ids = loaded !== undefined && mayBecomeAnyone() ? { uids: ownIds('uid'), gids: ownIds('gid') } : request.ids;
	const live = openInPlaceRoot({ layers, scratch, libc, ids, notice });
	const notices = loaded === undefined ? [WITHOUT_KOFFI] : [];
	const none = { whiteouts: false, bounds: [], needLess: new Set<SandboxName>(), target: () => undefined };
	return { ...request, ...none, rootfs: 'in-place', proc: 'job', ids, libc, layers, hold, cgroups, live, notices };
}

const WITHOUT_KOFFI =
	'koffi has no binary for this platform: extended attributes are not seen, and what assemble leaves running is not ended';

/**
 * A directory that every id of the image can reach, for mounting root filesystems: on a small tmpfs over a directory of the host
 * that holds nothing in use, which only our mount namespace sees. Falls back to the scratch directory, which only its owner can reach.
 */
function openMountTarget(
	{ scratch, store, inUse, hostPath }: WorkerCalls['open']['request'],
	libc: Libc,
): WorkerSession['target'] {
	const real = [scratch, store, ...inUse, ...ownPaths(hostPath)].flatMap((path) => [path, realOf(path)]);
	const isFree = (candidate: string) =>
		!real.some((path) => isWithin(path, candidate)) && attempt(() => statSync(candidate))?.isDirectory() === true;
	const cover = (candidate: string) =>
		libc.mount(rawPath('s2oci'), rawPath(candidate), 'tmpfs', MS_NODEV | MS_NOSUID, 'mode=0755,size=16m');
	const parent = CANDIDATES.find((candidate) => isFree(candidate) && succeeds(() => cover(candidate))) ?? scratch;
	return (name) => {
		const rootfs = join(parent, `rootfs-${name}`);
		makePath(rootfs, 0o755);
		return rootfs;
	};
}

/** What this program itself needs of the host while it runs. */
function ownPaths(hostPath: string): readonly string[] {
	const program = fileURLToPath(new URL('./main.js', import.meta.url));
	return [process.execPath, program, ...hostPath.split(':').filter((path) => isAbsolute(path))];
}

type OwnRootfs = Exclude<Rootfs, 'in-place'>;
type Opened = Pick<WorkerSession, 'proc'> & { readonly rootfs: OwnRootfs };

function openNamespaces(request: WorkerCalls['open']['request'], libc: Libc): Opened {
	const proc = mountProc(request.ownProc, libc);
	const rootfs = chooseRootfs(request, libc);
	hideCgroups(libc);
	return { rootfs, proc };
}

/** Without a pid namespace, what outlives its parent must come back to us to be ended. */
function openPlain({ rootfs }: WorkerCalls['open']['request'], libc: Libc): Opened {
	libc.adoptOrphans();
	if (rootfs !== 'overlay') return { rootfs: 'copy', proc: 'job' };
	throw new BuildError('HOST_NO_OVERLAY', 'an overlay needs a mount namespace, which this host does not give us', {
		hint: 'Leave out --rootfs, or run the job with CAP_SYS_ADMIN or user namespaces.',
	});
}

/** Overlay where it works, else a copy, unless the user insists. */
function chooseRootfs({ rootfs, scratch }: WorkerCalls['open']['request'], libc: Libc): OwnRootfs {
	if (rootfs === 'copy') return 'copy';
	try {
		probeOverlay(scratch, libc);
		return 'overlay';
	} catch (error) {
		if (rootfs === 'overlay') throw error;
		return 'copy';
	}
}

/**
 * The pid namespace wants a /proc of its own, which a container whose own /proc is masked may not mount in a user namespace. That of the
 * job shows its processes, by other numbers than those in the pid namespace, and nothing of them but what everybody may see.
 */
function mountProc(isNeeded: boolean, libc: Libc): Proc {
	try {
		libc.mount(rawPath('proc'), rawPath('/proc'), 'proc', 0, '');
		return 'own';
	} catch (error) {
		if (!isNeeded) return 'job';
		throw new BuildError('HOST_NO_NAMESPACES', `a new /proc could not be mounted: ${messageOf(error)}`, {
			hint:
				'The container that this runs in masks parts of /proc. Run the job with procMount: Unmasked (Kubernetes), ' +
				'--security-opt systempaths=unconfined (Docker) or unmask=ALL (Podman), or as root with CAP_SYS_ADMIN.',
			cause: error,
		});
	}
}
