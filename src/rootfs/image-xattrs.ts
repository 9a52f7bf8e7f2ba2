const CAPABILITY = 'security.capability';
const REVISION_MASK = 0xff000000;
const REVISION_2 = 0x02000000;
const REVISION_3 = 0x03000000;
const SIZE_2 = 20;
const SIZE_3 = 24;

/** Overlay's own attributes would change what a later mount shows; the others belong to the host's security modules. */
export function isKept(name: string): boolean {
	return name === CAPABILITY || (name.startsWith('user.') && !name.startsWith('user.overlay.'));
}

/**
 * The attributes of `listed` that belong to the image, in the form that does not tell where they were set: file capabilities of a user
 * namespace whose root is the image's root (struct vfs_ns_cap_data, rootid 0) become those of no namespace, as root sets them.
 */
export function imageXattrs(listed: ReadonlyMap<string, Buffer>): ReadonlyMap<string, Buffer> {
	if (listed.size === 0) return listed;
	const kept = [...listed].filter(([name]) => isKept(name));
	return new Map(kept.map(([name, value]) => [name, name === CAPABILITY ? withoutRoot(value) : value]));
}

function withoutRoot(value: Buffer): Buffer {
	if (value.length !== SIZE_3 || value.readUInt32LE(SIZE_2) !== 0) return value;
	const magic = value.readUInt32LE(0);
	if ((magic & REVISION_MASK) >>> 0 !== REVISION_3) return value;
	const plain = Buffer.from(value.subarray(0, SIZE_2));
	plain.writeUInt32LE(((magic & ~REVISION_MASK) | REVISION_2) >>> 0, 0);
	return plain;
}
