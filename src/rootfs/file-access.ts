/** Whom the kernel judges by when a process reaches a file. */
export interface FileUser {
	readonly uid: number;
	readonly gid: number;
	readonly additionalGids?: readonly number[];
}

/** What the kernel judges a file by, as stat(2) has it. */
interface Guarded {
	readonly uid: bigint;
	readonly gid: bigint;
	/** With or without the bits of the type. */
	readonly mode: bigint;
}

const READ = 4;
const WRITE = 2;
const SEARCH = 1;

/**
 * Whether `user`, who is not root and has no capabilities, may read the file or list the directory, by owner, group and mode (inode(7)).
 * An owner may give itself every right, so it has them. What an access control list gives to others than the group is not seen.
 */
export function mayRead(user: FileUser, file: Guarded): boolean {
	return isGranted(user, file, READ);
}

/** {@link mayRead}, of writing. */
export function mayWrite(user: FileUser, file: Guarded): boolean {
	return isGranted(user, file, WRITE);
}

/** {@link mayRead}, of listing a directory and reaching what is in it. */
export function mayEnter(user: FileUser, directory: Guarded): boolean {
	return isGranted(user, directory, READ | SEARCH);
}

function isGranted({ uid, gid, additionalGids = [] }: FileUser, file: Guarded, wanted: number): boolean {
	if (Number(file.uid) === uid) return true;
	const isMember = [gid, ...additionalGids].includes(Number(file.gid));
	const bits = (Number(file.mode) >> (isMember ? 3 : 0)) & 7;
	return (bits & wanted) === wanted;
}
