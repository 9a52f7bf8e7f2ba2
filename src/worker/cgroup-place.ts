/** What control groups can limit, by the names of their controllers. */
export type Controller = 'memory' | 'cpu' | 'pids';

/** Where the control group of a process is in the file system. */
export interface CgroupPlace {
	readonly version: 1 | 2;
	/** Directory of the group that the process is in. */
	readonly own: string;
	/** Where its hierarchy is mounted. */
	readonly mountPoint: string;
}

const CONTROLLERS: readonly Controller[] = ['memory', 'cpu', 'pids'];

/**
 * Where the groups of a process are, from the texts of its /proc/PID/cgroup and /proc/PID/mountinfo (cgroups(7)). A controller that no
 * hierarchy of version 1 has is version 2's, which may or may not have it. Those that are not mounted here are missing.
 */
export function findCgroups(cgroups: string, mountinfo: string): ReadonlyMap<Controller, CgroupPlace> {
	const own = new Map<string, string>();
	for (const line of cgroups.split('\n')) {
		const [, names, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
		for (const name of names?.split(',') ?? []) own.set(name, path ?? '/');
	}
	const mounts = mountinfo.split('\n').flatMap(cgroupMount);
	const found = CONTROLLERS.flatMap((controller): [Controller, CgroupPlace][] => {
		const version = own.has(controller) ? 1 : 2;
		const path = own.get(version === 1 ? controller : '');
		const mount = mounts.find((each) => (version === 2 ? each.version === 2 : each.controllers.includes(controller)));
		const directory = path === undefined || mount === undefined ? undefined : below(mount, path);
		if (mount === undefined || directory === undefined) return [];
		return [[controller, { version, own: directory, mountPoint: mount.mountPoint }]];
	});
	return new Map(found);
}

interface CgroupMount {
	readonly version: 1 | 2;
	readonly controllers: readonly string[];
	/** The group that is shown at `mountPoint`. */
	readonly root: string;
	readonly mountPoint: string;
}

function cgroupMount(line: string): readonly CgroupMount[] {
	const [front = '', back = ''] = line.split(' - ');
	const [, , , root = '/', mountPoint = ''] = front.split(' ');
	const [type, , options = ''] = back.split(' ');
	if (type !== 'cgroup' && type !== 'cgroup2') return [];
	return [{ version: type === 'cgroup' ? 1 : 2, controllers: options.split(','), root, mountPoint }];
}

/** Groups outside of what is mounted, or of the own namespace (`/..`), cannot be reached. */
function below({ root, mountPoint }: CgroupMount, path: string): string | undefined {
	if (path.split('/').includes('..') || root.split('/').includes('..')) return undefined;
	if (root === '/') return path === '/' ? mountPoint : `${mountPoint}${path}`;
	if (path !== root && !path.startsWith(`${root}/`)) return undefined;
	return `${mountPoint}${path.slice(root.length)}`;
}
