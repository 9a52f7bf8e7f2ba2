import { readFileSync } from 'node:fs';

/** One line of /proc/self/mountinfo. */
export interface Mount {
	readonly point: string;
	readonly type: string;
	/** Of the mount point and of the file system. */
	readonly options: readonly string[];
}

const NETWORK =
	/^(?:nfs4?|cifs|smb3|9p|ceph|lustre|gpfs|glusterfs|afs|fuse(?:\..*)?|fuseblk|virtiofs|beegfs|orangefs)$/;

/** What is mounted where we are, in the order of mounting. Empty when the kernel does not say. */
export function readMounts(): readonly Mount[] {
	try {
		return parseMounts(readFileSync('/proc/self/mountinfo', 'utf8'));
	} catch {
		return [];
	}
}

/** The lines of a mountinfo file (proc_pid_mountinfo(5)). */
export function parseMounts(text: string): readonly Mount[] {
	return text.split('\n').flatMap((line) => {
		const [before = '', after] = line.split(' - ', 2);
		const [, , , , point, options] = before.split(' ');
		if (after === undefined || point === undefined || options === undefined) return [];
		const [type = '', , superOptions = ''] = after.split(' ');
		return { point: unescape(point), type, options: [...new Set([...options.split(','), ...superOptions.split(',')])] };
	});
}

/** The mount that `path`, absolute and free of links, is on. */
export function findMount(mounts: readonly Mount[], path: string): Mount | undefined {
	const holding = mounts.filter(({ point }) => point === '/' || path === point || path.startsWith(`${point}/`));
	return holding.toSorted((a, b) => a.point.length - b.point.length).at(-1);
}

/** Whether files of a file system of this type come from another machine or another process. */
export function isNetworkType(type: string): boolean {
	return NETWORK.test(type);
}

function unescape(text: string): string {
	return text.replace(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
