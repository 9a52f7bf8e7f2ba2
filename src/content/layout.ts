import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { BuildError, errnoOf, isBuildError, messageOf } from '../errors.js';
import { noSpace } from '../host-fault.js';
import { makePath } from '../make-path.js';
import type { Descriptor, Document } from '../oci/descriptor.js';
import type { Index, Manifest } from '../oci/image.js';
import { OCI_INDEX } from '../oci/media-types.js';
import { writeByRename } from '../whole-file.js';
import type { ImageSource, ImageTarget, OpenContent } from './blob.js';
import { blobPath, layoutSource, type OpenMember, REF_NAME, readIndex } from './layout-source.js';
import { unreadable, verifyStream } from './verify.js';

/** Of the files of an image, before the umask. */
export const MODE = 0o644;
const LAYOUT_FILE = '{"imageLayoutVersion":"1.0.0"}';

/**
 * The OCI image layout in `directory` (image-spec v1.1 image-layout.md) as source and target. It is made by the first write. Files
 * appear by rename when they are complete; nothing outside `directory` is written. Throws OUTPUT_FAILED when writing fails.
 */
export function openLayout(directory: string): ImageSource & ImageTarget {
	const source = layoutSource(directoryMember(directory), what(directory));
	const put = async (blob: Descriptor, content: OpenContent, signal: AbortSignal): Promise<void> => {
		if (await hasBlob(directory, blob)) return;
		await writing(directory, async () => {
			await prepare(directory);
			const stream = verifyStream(await content(signal), blob, `the content of ${blob.digest}`);
			await writeByRename(directory, blobPath(blob.digest), stream, { mode: MODE, signal });
		});
	};
	return {
		...source,
		has: (blob) => hasBlob(directory, blob),
		put,
		mount: () => Promise.resolve(false),
		putManifest: async (manifest, tag, signal) => {
			await put(manifest.descriptor, () => Promise.resolve(Readable.from([manifest.bytes])), signal);
			await writing(directory, () => addToIndex(directory, manifest, tag, signal));
		},
	};
}

/** Runs `write`; what the file system refuses becomes OUTPUT_FAILED or HOST_NO_SPACE, naming `path`. */
export async function writing(path: string, write: () => Promise<void>): Promise<void> {
	try {
		await write();
	} catch (error) {
		if (isBuildError(error) || errnoOf(error) === undefined || errnoOf(error) === 'ABORT_ERR') throw error;
		const refused = new BuildError('OUTPUT_FAILED', `cannot write the image to ${path}: ${messageOf(error)}`, {
			hint: 'Check that the directory is writable.',
			cause: error,
		});
		throw noSpace(error, `the image, which goes to ${path}`, 'write the image elsewhere') ?? refused;
	}
}

function what(directory: string): string {
	return `the OCI layout ${directory}`;
}

async function addToIndex(
	directory: string,
	manifest: Document<Manifest>,
	tag: string | undefined,
	signal: AbortSignal,
): Promise<void> {
	const { mediaType, digest, size } = manifest.descriptor;
	const annotations = tag === undefined ? {} : { annotations: { [REF_NAME]: tag } };
	const entry: Descriptor = { mediaType, digest, size, ...annotations };
	const empty: Index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] };
	const index = (await readIndex(directoryMember(directory), what(directory), signal))?.value ?? empty;
	const isSame = (other: Descriptor): boolean => {
		const name = other.annotations?.[REF_NAME];
		return name === tag && (tag !== undefined || other.digest === digest);
	};
	const manifests = [...index.manifests.filter((other) => !isSame(other)), entry];
	await writeByRename(directory, 'oci-layout', LAYOUT_FILE, { mode: MODE, signal });
	const bytes = JSON.stringify({ ...index, schemaVersion: 2, mediaType: OCI_INDEX, manifests });
	await writeByRename(directory, 'index.json', bytes, { mode: MODE, signal });
}

function directoryMember(directory: string): OpenMember {
	return async (name) => {
		const handle = await openRegular(join(directory, name));
		if (handle === undefined) return undefined;
		return { stream: handle.createReadStream(), size: (await handle.stat()).size };
	};
}

// O_NONBLOCK: opening a FIFO that someone planted must not hang.
async function openRegular(path: string): Promise<FileHandle | undefined> {
	try {
		const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
		if ((await handle.stat()).isFile()) return handle;
		await handle.close();
	} catch (error) {
		if (errnoOf(error) === 'ENOENT') return undefined;
		throw unreadable(path, error);
	}
	throw new BuildError('IMAGE_INVALID', `${path} is not a regular file`, { hint: 'Copy the image layout again.' });
}

async function hasBlob(directory: string, blob: Descriptor): Promise<boolean> {
	try {
		const found = await stat(join(directory, blobPath(blob.digest)));
		return found.isFile() && found.size === blob.size;
	} catch {
		return false;
	}
}

// A symbolic link among these directories would lead writes out of the layout.
async function prepare(directory: string): Promise<void> {
	makePath(resolve(directory));
	for (const name of ['blobs', 'blobs/sha256', 'blobs/sha512']) {
		const path = join(directory, name);
		await mkdir(path).catch((error: unknown) => {
			if (errnoOf(error) !== 'EEXIST') throw error;
		});
		if (!(await lstat(path)).isDirectory()) {
			throw new BuildError('OUTPUT_FAILED', `${path} is not a directory`, { hint: `Remove it from ${dirname(path)}.` });
		}
	}
}
