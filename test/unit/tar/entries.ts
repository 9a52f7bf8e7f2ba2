import fc from 'fast-check';
import { latin1Path, type RawPath, ROOT } from '../../../src/root-path.js';
import { paddingOf, type TarEntry, type TarEntryType } from '../../../src/tar/entry.js';
import { createTarReader } from '../../../src/tar/reader.js';
import { TAR_END, writeHeader } from '../../../src/tar/writer.js';

/** What a reader found: the entry and, for files, its bytes. */
export interface Member {
	readonly entry: TarEntry;
	readonly body: Buffer;
}

/** Reads `chunks` to the end. */
export function readTar(chunks: readonly Buffer[]): readonly Member[] {
	const members: { entry: TarEntry; parts: Buffer[] }[] = [];
	const reader = createTarReader({
		entry: (entry) => void members.push({ entry, parts: [] }),
		data: (chunk) => void members.at(-1)?.parts.push(Buffer.from(chunk)),
		close: () => undefined,
	});
	for (const chunk of chunks) reader.write(chunk);
	reader.end();
	return members.map(({ entry, parts }) => ({ entry, body: Buffer.concat(parts) }));
}

/** The archive of `members` as our writer makes it. */
export function writeTar(members: readonly Member[]): Buffer {
	const parts = members.flatMap(({ entry, body }) => [writeHeader(entry), body, Buffer.alloc(paddingOf(body.length))]);
	return Buffer.concat([...parts, TAR_END]);
}

/** Paths are raw bytes. */
type TarAttributes = Partial<Omit<TarEntry, 'path' | 'linkPath'>> & {
	readonly path: string;
	readonly linkPath?: string;
};

/** An entry with the given attributes, else those of an empty file. */
export function tarEntry({ path, linkPath = '', ...attributes }: TarAttributes): TarEntry {
	return {
		path: latin1Path(path),
		type: 'file',
		linkPath: latin1Path(linkPath),
		mode: 0o644,
		uid: 0,
		gid: 0,
		size: 0,
		mtime: 0,
		deviceMajor: 0,
		deviceMinor: 0,
		xattrs: new Map(),
		...attributes,
	};
}

const byte = (first: number) => fc.integer({ min: first, max: 255 }).map((code) => String.fromCharCode(code));
const part = (maxLength: number) =>
	fc.string({ unit: byte(1), minLength: 1, maxLength }).map((text) => text.replaceAll('/', '-'));
/** Any path that Linux allows, of up to three parts of up to 255 bytes. */
export const anyPath: fc.Arbitrary<RawPath> = fc
	.array(fc.oneof(part(12), part(120), part(255)), { minLength: 1, maxLength: 3 })
	.map((parts) => latin1Path(parts.join('/')));
const id = fc.oneof(
	fc.nat(65535),
	fc.integer({ min: 0, max: 0xfffffffe }),
	fc.constantFrom(0o7777777, 0o10000000, 0xfffffffe),
);
const mtime = fc.oneof(
	fc.nat(2 ** 31 - 1),
	fc.integer({ min: -(2 ** 33), max: 2 ** 40 }),
	fc.constantFrom(0o77777777777, 0o100000000000, -1),
);
const xattrName = fc.string({ unit: byte(33), minLength: 1, maxLength: 40 }).map((name) => name.replaceAll('=', '-'));
const xattrs = fc
	.array(
		fc.tuple(
			xattrName,
			fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
		),
		{ maxLength: 3 },
	)
	.map((pairs): ReadonlyMap<string, Buffer> => new Map(pairs));

/** Any member that the writer promises to keep. */
export const anyMember: fc.Arbitrary<Member> = fc
	.record({
		type: fc.constantFrom<TarEntryType>('file', 'link', 'symlink', 'character', 'block', 'directory', 'fifo'),
		path: anyPath,
		linkPath: anyPath,
		mode: fc.nat(0o7777),
		uid: id,
		gid: id,
		mtime,
		deviceMajor: fc.nat(0xfff),
		deviceMinor: fc.nat(0xfffff),
		xattrs,
		body: fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ minLength: 500, maxLength: 1030 })),
	})
	.map(({ type, path, linkPath, body, ...rest }) => {
		const content = Buffer.from(type === 'file' ? body : []);
		const hasLink = type === 'link' || type === 'symlink';
		const slashed = type === 'directory' ? latin1Path(`${path}/`) : path;
		return {
			entry: { ...rest, type, path: slashed, linkPath: hasLink ? linkPath : ROOT, size: content.length },
			body: content,
		};
	});
