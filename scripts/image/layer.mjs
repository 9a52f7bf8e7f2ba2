// Layers of the images of s2oci, written by the code that writes the layers of builds.
import { createReadStream } from 'node:fs';
import { paddingOf } from '../../dist/tar/entry.js';
import { createTarReader } from '../../dist/tar/reader.js';
import { TAR_END, writeHeader } from '../../dist/tar/writer.js';

/** When all in the images was made, at the latest; seconds. */
export const EPOCH = Number(process.env.SOURCE_DATE_EPOCH ?? 0);

const NONE = {
	linkPath: '',
	mode: 0o755,
	uid: 0,
	gid: 0,
	size: 0,
	mtime: EPOCH,
	deviceMajor: 0,
	deviceMinor: 0,
	xattrs: new Map(),
};

/** The bytes of the tar of `parts`, each of them iterable. */
export async function* tarOf(...parts) {
	for (const part of parts) yield* part;
	yield TAR_END;
}

/** The entries of the tar `file` as `change` makes them, which returns nothing for one that is left out. Paths are relative, without `./`. */
export async function* copyTar(file, change) {
	const pieces = [];
	let entry;
	const reader = createTarReader({
		entry: (read) => {
			const path = read.path.replace(/^\.\/+/, '');
			entry = path === '' ? undefined : change({ ...read, path, mtime: Math.min(read.mtime, EPOCH) });
			if (entry !== undefined) pieces.push(writeHeader(entry));
		},
		data: (chunk) => {
			if (entry !== undefined) pieces.push(Buffer.from(chunk));
		},
		close: () => {
			if (entry !== undefined) pieces.push(Buffer.alloc(paddingOf(entry.size)));
		},
	});
	for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) {
		reader.write(chunk);
		yield* pieces.splice(0);
	}
	reader.end();
	yield* pieces.splice(0);
}

/** A file of root. */
export function file(path, text, mode = 0o644) {
	const content = Buffer.from(text);
	const header = writeHeader({ ...NONE, type: 'file', path, mode, size: content.length });
	return [header, content, Buffer.alloc(paddingOf(content.length))];
}

export function directory(path, own = {}) {
	return [writeHeader({ ...NONE, type: 'directory', path: `${path}/`, ...own })];
}

export function symlink(path, linkPath) {
	return [writeHeader({ ...NONE, type: 'symlink', path, linkPath, mode: 0o777 })];
}
