/** One member of a hand-made archive. What is left out is what an honest tool would write; every field can be given as raw bytes. */
export interface TarMember {
	/** Raw bytes, one character each; up to 100 in the header, cut there. */
	readonly name: string;
	/** The type flag: `0` file, `1` hard link, `2` symlink, `3` and `4` devices, `5` directory, `6` FIFO, `x`, `g`, `L`, `K`. */
	readonly flag?: string;
	readonly body?: Buffer | string;
	readonly link?: string;
	readonly mode?: number;
	readonly uid?: number;
	readonly gid?: number;
	readonly mtime?: number;
	readonly device?: readonly [number, number];
	/** Records of a pax header before the member. */
	readonly pax?: Readonly<Record<string, string | Buffer>>;
	/** The size field as it is, octal or not. */
	readonly rawSize?: Buffer | string;
	readonly rawUid?: Buffer | string;
	readonly rawChecksum?: string;
}

const BLOCK = 512;

/** An archive of `members`, independent of the codec that is tested. `ends` adds the two zero blocks. */
export function tarOf(members: readonly TarMember[], ends = true): Buffer {
	return Buffer.concat([...members.flatMap(memberBytes), ...(ends ? [Buffer.alloc(2 * BLOCK)] : [])]);
}

/** A regular file. */
export function tarFile(name: string, body: Buffer | string = '', more: Partial<TarMember> = {}): TarMember {
	return { name, body, ...more };
}

export function tarDirectory(name: string, more: Partial<TarMember> = {}): TarMember {
	return { name: `${name}/`, flag: '5', mode: 0o755, ...more };
}

export function tarSymlink(name: string, link: string, more: Partial<TarMember> = {}): TarMember {
	return { name, flag: '2', link, mode: 0o777, ...more };
}

export function tarHardLink(name: string, link: string, more: Partial<TarMember> = {}): TarMember {
	return { name, flag: '1', link, ...more };
}

/** `length keyword=value\n` */
export function paxRecord(keyword: string, value: string | Buffer): Buffer {
	const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
	const rest = Buffer.concat([Buffer.from(` ${keyword}=`, 'latin1'), bytes, Buffer.from('\n')]);
	const size = [1, 2, 3, 4, 5, 6, 7].find((digits) => String(rest.length + digits).length === digits) ?? 7;
	return Buffer.concat([Buffer.from(String(rest.length + size)), rest]);
}

/** `bytes` in parts that end at `cuts`, each a number of bytes from the start. */
export function cutAt(bytes: Buffer, cuts: readonly number[]): readonly Buffer[] {
	const at = [...new Set([0, ...cuts.filter((cut) => cut < bytes.length), bytes.length])].sort((a, b) => a - b);
	return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

/** `parts` as the asynchronous stream that readers take. */
export async function* chunksOf(parts: readonly Buffer[]): AsyncGenerator<Buffer, void, undefined> {
	for (const part of parts) yield await Promise.resolve(part);
}

function memberBytes(member: TarMember): readonly Buffer[] {
	const body = asBuffer(member.body ?? '');
	const pax = Object.entries(member.pax ?? {}).map(([keyword, value]) => paxRecord(keyword, value));
	const extended = pax.length === 0 ? [] : memberBytes({ name: 'pax', flag: 'x', body: Buffer.concat(pax) });
	const padding = Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK);
	return [...extended, headerOf(member, body.length), body, padding];
}

function headerOf(member: TarMember, size: number): Buffer {
	const block = Buffer.alloc(BLOCK);
	const { name, flag = '0', link = '', mode = 0o644, uid = 0, gid = 0, mtime = 0, device = [0, 0] } = member;
	block.write(name.slice(0, 100), 0, 'latin1');
	octal(mode, 8).copy(block, 100);
	asBuffer(member.rawUid ?? octal(uid, 8)).copy(block, 108);
	octal(gid, 8).copy(block, 116);
	asBuffer(member.rawSize ?? octal(size, 12)).copy(block, 124);
	octal(mtime, 12).copy(block, 136);
	block.write(flag, 156, 'latin1');
	block.write(link.slice(0, 100), 157, 'latin1');
	block.write('ustar\x0000', 257, 'latin1');
	octal(device[0], 8).copy(block, 329);
	octal(device[1], 8).copy(block, 337);
	block.write('        ', 148, 'latin1');
	const sum = block.reduce((total, byte) => total + byte, 0);
	block.write(member.rawChecksum ?? `${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
	return block;
}

function octal(value: number, length: number): Buffer {
	return Buffer.from(`${value.toString(8).padStart(length - 1, '0')}\0`);
}

function asBuffer(value: Buffer | string): Buffer {
	return typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
}
