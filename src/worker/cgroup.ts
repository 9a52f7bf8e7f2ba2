import fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { attempt, errnoOf, messageOf } from '../errors.js';
import { type Libc, MS_BIND, MS_RDONLY, MS_REMOUNT } from '../linux/libc.js';
import { makePath } from '../make-path.js';
import { fsPath, latin1Path, nameIn, type RawPath, rawPath } from '../root-path.js';
import { type Cgroup, type CgroupParent, type GroupLimits, makeCgroup } from './cgroup-group.js';
import { type CgroupPlace, type Controller, findCgroups, findUnified } from './cgroup-place.js';

/** A way to the control groups of this process that stays open when they are hidden from the sandboxes. */
export interface Cgroups {
	/** Makes groups for those limits that are set. Never throws. */
	readonly open: (limits: GroupLimits) => CgroupLimits;
}

/** Groups with limits, as long as one process runs. */
export interface CgroupLimits {
	/** One line for each limit that is not enforced, with the reason. */
	readonly refused: () => readonly string[];
	/** Calls `start` at once; the programs that it starts are in the groups. */
	readonly enter: <T>(start: () => T) => T;
	/** Whether the kernel killed a process because the memory of the groups ran out. */
	readonly oomKilled: () => boolean;
	/** Has the kernel kill what is in a group, where it has been opened for that. Never throws. */
	readonly kill: () => void;
	/** Kills what is left in the groups and removes them. Never rejects. */
	readonly close: () => Promise<void>;
}

const CGROUPS = '/sys/fs/cgroup';
const CGROUP2_MAGIC = 0x63677270;
const OPTIONS: Readonly<Record<Controller, string>> = { memory: '--memory', cpu: '--cpus', pids: '--pids-limit' };

/** None: every limit is refused. */
export const NO_CGROUPS: Cgroups = { open: (limits) => openGroups(limits, new Map(), undefined) };

/**
 * To be called before the groups are hidden. `scratch` is a private directory. `kills` asks for a group also without limits, where the
 * kernel can kill one as a whole. Never throws: what cannot be opened is refused later.
 */
export function openCgroups(scratch: string, libc: Libc, kills: boolean): Cgroups {
	const opened = new Map<string, CgroupParent | string>();
	const parents = new Map<Controller, CgroupParent | string>();
	// None where there is no /proc.
	const places = attempt(readPlaces);
	for (const [controller, place] of places?.limiting ?? []) {
		const parent = opened.get(place.own) ?? openParent(place, scratch, libc);
		opened.set(place.own, parent);
		parents.set(controller, parent);
	}
	// Our own group of version 2: one without limits may be made in it.
	const unified = kills ? places?.unified : undefined;
	const killing = unified && attempt(() => ownParent(unified, basename(scratch)));
	return { open: (limits) => openGroups(limits, parents, killing) };
}

/**
 * Makes control groups read-only, since as root runc would make groups that outlive a killed build. Version 1 is covered by an image of
 * its directories, because crun refuses hierarchies where versions 1 and 2 are mixed. Both runtimes forgive a read-only file system when
 * they are told to be rootless.
 */
export function hideCgroups(libc: Libc): void {
	try {
		if (fs.statfsSync(CGROUPS).type === CGROUP2_MAGIC) {
			libc.mount(rawPath('none'), rawPath(CGROUPS), '', MS_REMOUNT | MS_BIND | MS_RDONLY, '');
			return;
		}
		const controllers = fs.readdirSync(CGROUPS, { withFileTypes: true }).filter((entry) => entry.isDirectory());
		libc.mount(rawPath('s2oci'), rawPath(CGROUPS), 'tmpfs', 0, 'size=1m,mode=0755');
		for (const { name } of controllers) if (name !== 'unified') fs.mkdirSync(join(CGROUPS, name));
		libc.mount(rawPath('s2oci'), rawPath(CGROUPS), 'tmpfs', MS_REMOUNT | MS_RDONLY, 'size=1m,mode=0755');
	} catch {
		// A host without control groups has nothing to hide.
	}
}

interface Places {
	readonly limiting: ReadonlyMap<Controller, CgroupPlace>;
	readonly unified: CgroupPlace | undefined;
}

function readPlaces(): Places {
	const [groups = '', mounts = ''] = ['cgroup', 'mountinfo'].map((name) =>
		fs.readFileSync(`/proc/self/${name}`, 'latin1'),
	);
	return { limiting: findCgroups(groups, mounts), unified: findUnified(groups, mounts) };
}

/** The group that this process is in itself. */
function ownParent({ version, own }: CgroupPlace, build: string): CgroupParent {
	const directory = openDirectory(own);
	return { version, directory, own: directory, build };
}

/**
 * In version 1 a group can be made below our own. In version 2 a group that holds processes cannot have others with limits below it, so
 * there it is made beside our own, where a user may only when systemd or the administrator has delegated that to him.
 */
function openParent(place: CgroupPlace, scratch: string, libc: Libc): CgroupParent | string {
	try {
		const build = basename(scratch);
		if (place.version === 1) return ownParent(place, build);
		const isTop = !fs.existsSync(fsPath(nameIn(place.own, 'cgroup.type')));
		if (!isTop && place.own === place.mountPoint) return 'the control group of this container holds processes already';
		const clone = join(scratch, 'cgroup');
		makePath(clone, 0o700);
		// The mount that is there will be made read-only. One of our own stays as it is, and without a name no sandbox finds it.
		libc.mount(isTop ? place.own : latin1Path(dirname(place.own)), rawPath(clone), '', MS_BIND, '');
		const directory = openDirectory(rawPath(clone));
		const own = isTop ? directory : openDirectory(nameIn(rawPath(directory), basename(place.own)));
		libc.unmount(rawPath(clone));
		fs.rmdirSync(clone);
		return { version: 2, directory, own, build };
	} catch (error) {
		return plainReason(error);
	}
}

function openDirectory(path: RawPath): string {
	return `/proc/self/fd/${fs.openSync(fsPath(path), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)}`;
}

function openGroups(
	limits: GroupLimits,
	parents: ReadonlyMap<Controller, CgroupParent | string>,
	killing: CgroupParent | undefined,
): CgroupLimits {
	const refused: string[] = [];
	const wanted = new Map<CgroupParent, Controller[]>();
	for (const controller of controllersOf(limits)) {
		const parent = parents.get(controller) ?? 'this host has no control groups for it';
		const reason = typeof parent === 'string' ? parent : whyNot(parent, controller);
		if (reason !== undefined) refused.push(`${OPTIONS[controller]}: ${reason}`);
		else if (typeof parent !== 'string') wanted.set(parent, [...(wanted.get(parent) ?? []), controller]);
	}
	const refuse = (controllers: readonly Controller[], error: unknown) => {
		for (const controller of controllers) refused.push(`${OPTIONS[controller]}: ${plainReason(error)}`);
	};
	const groups = [...wanted].flatMap(([parent, controllers]): (readonly [readonly Controller[], Cgroup])[] => {
		try {
			return [[controllers, makeCgroup(parent, onlyThese(controllers, limits))]];
		} catch (error) {
			refuse(controllers, error);
			return [];
		}
	});
	// A process is in one group of version 2 only, and one with limits can be killed as well.
	if (killing !== undefined && !groups.some(([, group]) => group.isKillable)) groups.push(...makeKillable(killing));
	return {
		refused: () => [...new Set(refused)],
		enter: (start) => enterGroups(groups, start, refuse),
		oomKilled: () => groups.some(([, group]) => group.oomKilled()),
		kill: () => {
			for (const [, group] of groups) group.kill();
		},
		close: async () => {
			await Promise.all(groups.map(([, group]) => group.remove()));
		},
	};
}

/** A group without limits, where the kernel can kill one as a whole and this user may make one. */
function makeKillable(parent: CgroupParent): readonly (readonly [readonly Controller[], Cgroup])[] {
	const group = attempt(() => {
		fs.accessSync(`${parent.own}/cgroup.procs`, fs.constants.W_OK);
		return makeCgroup(parent, { memory: undefined, cpus: undefined, pids: undefined });
	});
	if (group?.isKillable === true) return [[[], group]];
	void group?.remove();
	return [];
}

/** A child is in the groups that its parent is in when it forks; the parent is in them for no longer than that. */
function enterGroups<T>(
	groups: readonly (readonly [readonly Controller[], Cgroup])[],
	start: () => T,
	refuse: (controllers: readonly Controller[], error: unknown) => void,
): T {
	const entered = groups.filter(([controllers, group]) => {
		try {
			group.enter();
			return true;
		} catch (error) {
			refuse(controllers, error);
			return false;
		}
	});
	try {
		return start();
	} finally {
		for (const [, group] of entered) group.leave();
	}
}

function controllersOf({ memory, cpus, pids }: GroupLimits): readonly Controller[] {
	const asked = { memory, cpu: cpus, pids };
	return (['memory', 'cpu', 'pids'] as const).filter((controller) => asked[controller] !== undefined);
}

function onlyThese(controllers: readonly Controller[], { memory, cpus, pids }: GroupLimits): GroupLimits {
	const has = (controller: Controller) => controllers.includes(controller);
	return {
		memory: has('memory') ? memory : undefined,
		cpus: has('cpu') ? cpus : undefined,
		pids: has('pids') ? pids : undefined,
	};
}

function whyNot({ version, directory, own }: CgroupParent, controller: Controller): string | undefined {
	try {
		const given =
			version === 1 ? [controller] : fs.readFileSync(`${directory}/cgroup.subtree_control`, 'utf8').trim().split(' ');
		if (!given.includes(controller)) return `control groups have no ${controller} controller here`;
		// Coming back, and in version 2 every move below a common group, takes the right to write these.
		for (const path of [directory, `${directory}/cgroup.procs`, `${own}/cgroup.procs`])
			fs.accessSync(path, fs.constants.W_OK);
		return undefined;
	} catch (error) {
		return plainReason(error);
	}
}

function plainReason(error: unknown): string {
	const code = errnoOf(error);
	if (code === 'EACCES' || code === 'EPERM') return 'this user may not make control groups here';
	return code === 'EROFS' ? 'control groups are read-only here' : messageOf(error);
}
