import { mkdirSync, readdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { type Libc, MS_BIND, MS_RDONLY, MS_REMOUNT } from '../linux/libc.js';
import { rawPath } from '../root-path.js';

const CGROUPS = '/sys/fs/cgroup';
const CGROUP2_MAGIC = 0x63677270;

/**
 * Makes control groups read-only, since as root runc would make groups that outlive a killed build. Version 1 is covered by an image of
 * its directories, because crun refuses hierarchies where versions 1 and 2 are mixed. Both runtimes forgive a read-only file system when
 * they are told to be rootless.
 */
export function hideCgroups(libc: Libc): void {
	try {
		if (statfsSync(CGROUPS).type === CGROUP2_MAGIC) {
			libc.mount(rawPath('none'), rawPath(CGROUPS), '', MS_REMOUNT | MS_BIND | MS_RDONLY, '');
			return;
		}
		const controllers = readdirSync(CGROUPS, { withFileTypes: true }).filter((entry) => entry.isDirectory());
		libc.mount(rawPath('s2oci'), rawPath(CGROUPS), 'tmpfs', 0, 'size=1m,mode=0755');
		for (const { name } of controllers) if (name !== 'unified') mkdirSync(join(CGROUPS, name));
		libc.mount(rawPath('s2oci'), rawPath(CGROUPS), 'tmpfs', MS_REMOUNT | MS_RDONLY, 'size=1m,mode=0755');
	} catch {
		// A host without control groups has nothing to hide.
	}
}
