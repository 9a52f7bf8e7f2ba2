/** Whose a file is, in the image's own numbering. */
export interface Owner {
	readonly uid: number;
	readonly gid: number;
}

/** The ids that can own files on disk: those below these limits, in the image's own numbering. */
export interface IdLimits {
	readonly uids: number;
	readonly gids: number;
}

/** Whether a file can be given this owner; else it stays 0:0 on disk, and its owner lives on in the declared entry alone. */
export function ownable(owner: Owner, ids: IdLimits): boolean {
	return owner.uid < ids.uids && owner.gid < ids.gids;
}

/** Whether this process may give files to others: as root, also of a user namespace. */
export function mayGive(): boolean {
	return process.geteuid?.() === 0;
}
