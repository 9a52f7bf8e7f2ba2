import { type Mount, parseMounts } from '../mountinfo.js';
import { isWithin, latin1Path, type RawPath } from '../root-path.js';

/** What control groups can limit, by the names of their controllers. */
export type Controller = 'memory' | 'cpu' | 'pids';

/** Where the control group of a process is in the file system. */
export interface CgroupPlace {
	readonly version: 1 | 2;
	/** Directory of the group that the process is in. */
	readonly own: RawPath;
	/** Where its hierarchy is mounted. */
	readonly mountPoint: RawPath;
}

const CONTROLLERS: readonly Controller[] = ['memory', 'cpu', 'pids'];

/**
 * Where the groups of a process are, from the texts of its /proc/PID/cgroup and /proc/PID/mountinfo (cgroups(7)), both read as `latin1`. A controller that no
 * hierarchy of version 1 has is version 2's, which may or may not have it. Those that are not mounted here are missing.
 */
export function findCgroups(cgroups: string, mountinfo: string): ReadonlyMap<Controller, CgroupPlace> {
	const own = new Map<string, string>();
	for (const line of cgroups.split('\n')) {
		const [, names, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
		for (const name of names?.split(',') ?? []) own.set(name, path ?? '/');
	}
	const mounts = parseMounts(mountinfo).filter(({ type }) => type === 'cgroup' || type === 'cgroup2');
	const found = CONTROLLERS.flatMap((controller): [Controller, CgroupPlace][] => {
		const version = own.has(controller) ? 1 : 2;
		const path = own.get(version === 1 ? controller : '');
		const mount = mounts.find((each) => isOf(each, version, controller));
		const directory = path === undefined || mount === undefined ? undefined : below(mount, path);
		if (mount === undefined || directory === undefined) return [];
		return [[controller, { version, own: directory, mountPoint: mount.path }]];
	});
	return new Map(found);
}

/** The same for the hierarchy of version 2, whichever controllers it has; undefined where it is not mounted here. */
export function findUnified(cgroups: string, mountinfo: string): CgroupPlace | undefined {
	const path = /^0::(\/.*)$/m.exec(cgroups)?.[1];
	const mount = parseMounts(mountinfo).find(({ type }) => type === 'cgroup2');
	const own = path === undefined || mount === undefined ? undefined : below(mount, path);
	return mount === undefined || own === undefined ? undefined : { version: 2, own, mountPoint: mount.path };
}

function isOf({ type, superOptions }: Mount, version: 1 | 2, controller: Controller): boolean {
	return version === 2 ? type === 'cgroup2' : type === 'cgroup' && superOptions.includes(controller);
}

/** Groups outside of what is mounted, or of the own namespace (`/..`), cannot be reached. */
function below({ root, path: mountPoint }: Mount, path: string): RawPath | undefined {
	if (path.split('/').includes('..') || root.split('/').includes('..')) return undefined;
	if (root === '/') return path === '/' ? mountPoint : latin1Path(`${mountPoint}${path}`);
	if (!isWithin(path, root)) return undefined;
	return latin1Path(`${mountPoint}${path.slice(root.length)}`);
}
