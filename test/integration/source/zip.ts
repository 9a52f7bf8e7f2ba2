import { crc32, deflateRawSync } from 'node:zlib';

/** One member of a hand-made zip file, honest where nothing else is said. */
export interface ZipMember {
	readonly name: string;
	readonly body?: string | Buffer;
	/** st_mode. */
	readonly mode?: number;
	readonly crc?: number;
	readonly flags?: number;
	readonly method?: number;
	readonly size?: number;
}

/** A zip file of `members`, made by hand (APPNOTE 4.3). */
export function zipOf(members: readonly ZipMember[]): Buffer {
	const locals: Buffer[] = [];
	const central: Buffer[] = [];
	let offset = 0;
	for (const { name, body = '', mode = 0o100644, flags = 0, method = 8, ...lies } of members) {
		const content = Buffer.from(body);
		const packed = deflateRawSync(content);
		const common = Buffer.alloc(26);
		common.writeUInt16LE(20, 0);
		common.writeUInt16LE(flags, 2);
		common.writeUInt16LE(method, 4);
		common.writeUInt32LE(lies.crc ?? crc32(content), 10);
		common.writeUInt32LE(packed.length, 14);
		common.writeUInt32LE(lies.size ?? content.length, 18);
		common.writeUInt16LE(Buffer.byteLength(name), 22);
		const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), packed]);
		const rest = Buffer.alloc(14);
		rest.writeUInt32LE((mode << 16) >>> 0, 6);
		rest.writeUInt32LE(offset, 10);
		central.push(Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 3]), common, rest, Buffer.from(name)]));
		locals.push(local);
		offset += local.length;
	}
	const directory = Buffer.concat(central);
	const end = Buffer.alloc(18);
	end.writeUInt16LE(members.length, 4);
	end.writeUInt16LE(members.length, 6);
	end.writeUInt32LE(directory.length, 8);
	end.writeUInt32LE(offset, 12);
	return Buffer.concat([...locals, directory, Buffer.from('PK\x05\x06'), end]);
}
