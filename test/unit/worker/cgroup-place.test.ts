import { describe, expect, test } from 'vitest';
import { findCgroups } from '../../../src/worker/cgroup-place.js';

const V2_MOUNT = '30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate';
const mount1 = (root: string, point: string, controllers: string) =>
	`32 31 0:29 ${root} ${point} rw,relatime shared:9 - cgroup cgroup rw,${controllers}`;

const find = (cgroups: readonly string[], mounts: readonly string[]) =>
	Object.fromEntries(findCgroups(cgroups.join('\n'), ['1 0 8:1 / / rw - ext4 /dev/sda rw', ...mounts].join('\n')));

describe('the control groups of this process', () => {
	test('are all in the one hierarchy of version 2', () => {
		const own = '/sys/fs/cgroup/user.slice/user-1000.slice/run-r1.scope';
		const place = { version: 2, own, mountPoint: '/sys/fs/cgroup' };
		expect(find(['0::/user.slice/user-1000.slice/run-r1.scope'], [V2_MOUNT])).toEqual({
			memory: place,
			cpu: place,
			pids: place,
		});
	});

	test('are where the hierarchies of version 1 are mounted, whatever they are mounted with', () => {
		const mounts = [mount1('/', '/sys/fs/cgroup/cpu,cpuacct', 'cpu,cpuacct'), mount1('/', '/cg/memory', 'memory')];
		expect(find(['4:memory:/job/7', '3:cpu,cpuacct:/', '1:name=systemd:/x', '0::/x'], mounts)).toEqual({
			memory: { version: 1, own: '/cg/memory/job/7', mountPoint: '/cg/memory' },
			cpu: { version: 1, own: '/sys/fs/cgroup/cpu,cpuacct', mountPoint: '/sys/fs/cgroup/cpu,cpuacct' },
		});
	});

	test('are version 2’s for controllers that version 1 does not have, on a host with both', () => {
		const mounts = [mount1('/', '/cg/memory', 'memory'), V2_MOUNT.replace('/sys/fs/cgroup', '/cg/unified')];
		const found = find(['4:memory:/', '0::/a'], mounts);
		expect(found['memory']).toMatchObject({ version: 1 });
		expect(found['pids']).toEqual({ version: 2, own: '/cg/unified/a', mountPoint: '/cg/unified' });
	});

	test('are below the part of a hierarchy that a container is shown', () => {
		const mounts = [mount1('/docker/ab', '/sys/fs/cgroup/memory', 'memory')];
		expect(find(['4:memory:/docker/ab/child'], mounts)['memory']?.own).toBe('/sys/fs/cgroup/memory/child');
		expect(find(['4:memory:/docker/ab'], mounts)['memory']?.own).toBe('/sys/fs/cgroup/memory');
	});

	test('are found where names have a backslash, as systemd writes them, or are not ASCII', () => {
		const mounts = [mount1(String.raw`/a\134x2db.slice`, String.raw`/cg\040m\303\251`, 'memory')];
		const found = find([String.raw`4:memory:/a\x2db.slice/c`], mounts)['memory'];
		expect(found).toMatchObject({ own: '/cg m\xc3\xa9/c', mountPoint: '/cg m\xc3\xa9' });
	});

	test('are missing when they are outside of what is mounted or of the namespace, or nothing is mounted', () => {
		const mounts = [mount1('/docker/ab', '/sys/fs/cgroup/memory', 'memory')];
		expect(find(['4:memory:/docker/abc'], mounts)).toEqual({});
		expect(find(['4:memory:/'], [mount1('/../..', '/sys/fs/cgroup/memory', 'memory')])).toEqual({});
		expect(find(['0::/../other'], [V2_MOUNT])).toEqual({});
		expect(find(['4:memory:/', '0::/'], [])).toEqual({});
		expect(find([''], [V2_MOUNT])).toEqual({});
	});
});
