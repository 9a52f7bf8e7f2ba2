import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { absolutePath } from '../host-path.js';
import type { Document } from '../oci/descriptor.js';
import type { Manifest } from '../oci/image.js';
import { type ArchiveFile, packArchive } from '../tar/archive.js';
import { writeByRename } from '../whole-file.js';
import { openMembers } from './archive-members.js';
import type { ImageSource, ImageTarget } from './blob.js';
import { MODE, openLayout, writing } from './layout.js';
import { blobPath, layoutSource } from './layout-source.js';

/** The OCI image layout in the tar file `path`, compressed or not, as an image source; see {@link openMembers}. Throws IMAGE_INVALID. */
export async function openOciArchive(
	path: string,
	scratch: () => Promise<string>,
	signal: AbortSignal,
): Promise<ImageSource> {
	const members = await openMembers(path, scratch, signal);
	return layoutSource((name) => {
		const member = members.find(name);
		return Promise.resolve(member === undefined ? undefined : { stream: members.open(member), size: member.size });
	}, `the OCI archive ${path}`);
}

/**
 * An image target that gathers blobs in the directory `scratch` and, when the manifest is put, writes the OCI layout tar `path`; an
 * existing file is replaced. The same image gives the same bytes. Throws OUTPUT_FAILED.
 */
export function createOciArchive(path: string, scratch: string): ImageTarget {
	const layout = openLayout(scratch);
	return {
		...layout,
		putManifest: async (manifest, tag, signal) => {
			await layout.putManifest(manifest, tag, signal);
			const files = await layoutFiles(scratch, manifest);
			await writeArchive(path, files, signal);
		},
	};
}

/** Writes `files` as the tar `path`, which appears, or replaces what is there, when it is complete. Throws OUTPUT_FAILED. */
export async function writeArchive(path: string, files: readonly ArchiveFile[], signal: AbortSignal): Promise<void> {
	const absolute = absolutePath(path);
	const content = packArchive(files, signal);
	await writing(path, () => writeByRename(dirname(absolute), basename(absolute), content, { mode: MODE, signal }));
}

/** The file at `path` on disk as `name` in an archive. */
export async function archiveFile(name: string, path: string): Promise<ArchiveFile> {
	const { size } = await stat(path);
	return { name, size, open: () => Promise.resolve(createReadStream(path)) };
}

/** `bytes` as `name` in an archive. */
export function archiveBytes(name: string, bytes: Uint8Array): ArchiveFile {
	return { name, size: bytes.length, open: () => Promise.resolve(Readable.from([bytes], { objectMode: false })) };
}

async function layoutFiles(
	scratch: string,
	{ value, descriptor }: Document<Manifest>,
): Promise<readonly ArchiveFile[]> {
	const blobs = [descriptor, value.config, ...value.layers].map(({ digest }) => blobPath(digest));
	const names = ['oci-layout', 'index.json', ...[...new Set(blobs)].sort()];
	return Promise.all(names.map((name) => archiveFile(name, join(scratch, name))));
}
