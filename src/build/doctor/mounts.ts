import { type Mount, readMounts } from '../../mountinfo.js';
import { rawPath } from '../../root-path.js';

const NETWORK =
	/^(?:nfs4?|cifs|smb3|9p|ceph|lustre|gpfs|glusterfs|afs|fuse(?:\..*)?|fuseblk|virtiofs|beegfs|orangefs)$/;

/** What is mounted where we are, in the order of mounting. Empty when the kernel does not say. */
export function mountsHere(): readonly Mount[] {
	try {
		return readMounts();
	} catch {
		return [];
	}
}

/** The mount that `path`, absolute and free of links, is on. */
export function findMount(mounts: readonly Mount[], path: string): Mount | undefined {
	const raw = rawPath(path);
	const holding = mounts.filter(
		(mount) => mount.path === '/' || raw === mount.path || raw.startsWith(`${mount.path}/`),
	);
	return holding.toSorted((a, b) => a.path.length - b.path.length).at(-1);
}

/** Its options, each once: those of the mount point and those of the file system. */
export function optionsOf({ options, superOptions }: Mount): readonly string[] {
	return [...new Set([...options, ...superOptions])];
}

/** Whether files of a file system of this type come from another machine or another process. */
export function isNetworkType(type: string): boolean {
	return NETWORK.test(type);
}
