import { type Mount, readMounts } from '../../mountinfo.js';

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

/** Its options, each once: those of the mount point and those of the file system. */
export function optionsOf({ options, superOptions }: Mount): readonly string[] {
	return [...new Set([...options, ...superOptions])];
}

/** Whether files of a file system of this type come from another machine or another process. */
export function isNetworkType(type: string): boolean {
	return NETWORK.test(type);
}
