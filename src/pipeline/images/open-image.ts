import type { ImageSource, ImageTarget } from '../../content/blob.js';
import { openLayout } from '../../content/layout.js';
import {
	type EngineLocation,
	formatImageLocation,
	type ImageLocation,
	isEngineLocation,
} from '../../content/location.js';
import type { Engine } from '../../engine/engine.js';
import type { EngineReading, EngineSource } from '../../engine/engine-source.js';
import { BuildError } from '../../errors.js';
import { type Digest, isDigest } from '../../oci/digest.js';
import type { RepositoryName } from '../../oci/reference.js';
import type { OpenRepository } from '../../registry/registries.js';

/** What opening images needs. `scratch` makes a directory in which an archive is put together or taken apart; the caller removes it. */
export interface ImageAccess extends EngineReading {
	readonly registry: OpenRepository;
	/** Throws ENGINE_UNAVAILABLE. */
	readonly engine: (type: EngineLocation['type']) => Promise<Engine>;
}

/** An image source, and what to ask it for. `name` is for people; `repository` is set for images on a registry. */
export interface OpenedSource {
	readonly source: ImageSource;
	readonly reference: string | Digest;
	readonly name: string;
	readonly repository?: RepositoryName;
	/** The name as typed, where it names no registry. */
	readonly bare?: string;
	/** What the local engine has under the name; set for images of one. */
	readonly inspect?: EngineSource['inspect'];
}

/** An image target, and the tag for its manifest. */
export interface OpenedTarget {
	readonly target: ImageTarget;
	readonly tag: string | undefined;
	readonly name: string;
	/** What an image that is there was. */
	readonly done: 'pushed' | 'loaded' | 'written';
}

/** Archives are rare, and tar-stream takes as long to load as the rest of the build. */
const ociArchive = () => import('../../content/oci-archive.js');
const dockerArchive = () => import('../../content/docker-archive.js');

/** Opens the image at `location` for reading. Throws IMAGE_INVALID when an archive cannot be read; registries are not asked yet. */
export async function openImageSource(
	location: ImageLocation,
	access: ImageAccess,
	signal: AbortSignal,
): Promise<OpenedSource> {
	const name = formatImageLocation(location);
	if (isEngineLocation(location)) {
		const { openEngineSource } = await import('../../engine/engine-source.js');
		const source = openEngineSource(await access.engine(location.type), location.name, access);
		return { source, reference: '', name, inspect: source.inspect };
	}
	switch (location.type) {
		case 'registry': {
			const { repository, digest, tag = 'latest' } = location.reference;
			const { bare } = location;
			const source = access.registry(repository);
			return { source, reference: digest ?? tag, name, repository, ...(bare !== undefined && { bare }) };
		}
		case 'oci':
			return { source: openLayout(location.path), reference: location.ref ?? '', name };
		case 'oci-archive':
			return {
				source: await (await ociArchive()).openOciArchive(location.path, access.scratch, signal),
				reference: location.ref ?? '',
				name,
			};
		case 'docker-archive':
			return {
				source: await (await dockerArchive()).openDockerArchive(location.path, access.scratch, signal),
				reference: location.ref ?? '',
				name,
			};
	}
}

/** Opens `location` for writing. Nothing is written yet. Throws REFERENCE_INVALID when it names a digest: that follows from the content. */
export async function openImageTarget(
	location: ImageLocation,
	access: ImageAccess,
	signal: AbortSignal,
): Promise<OpenedTarget> {
	signal.throwIfAborted();
	const name = formatImageLocation(location);
	if (isEngineLocation(location)) return openEngine(location, access, signal);
	switch (location.type) {
		case 'registry': {
			const { repository, digest, tag } = location.reference;
			if (digest !== undefined) throw digestTarget(name);
			return { target: access.registry(repository), tag, name, done: 'pushed' };
		}
		case 'oci':
			return { target: openLayout(location.path), tag: location.ref, name, done: 'written' };
		case 'oci-archive':
			return {
				target: (await ociArchive()).createOciArchive(location.path, await access.scratch()),
				tag: location.ref,
				name,
				done: 'written',
			};
		case 'docker-archive':
			if (location.ref?.startsWith('@') === true) throw indexTarget(name);
			return {
				target: (await dockerArchive()).createDockerArchive(location.path, await access.scratch()),
				tag: location.ref,
				name,
				done: 'written',
			};
	}
}

/** An engine that does not answer would be found out only after the build. */
async function openEngine(location: EngineLocation, access: ImageAccess, signal: AbortSignal): Promise<OpenedTarget> {
	const name = formatImageLocation(location);
	if (location.name.includes('@') || isDigest(location.name)) throw digestTarget(name);
	const engine = await access.engine(location.type);
	await engine.find(location.name, signal);
	const { nameInStore, openEngineTarget } = await import('../../engine/engine-target.js');
	return { target: openEngineTarget(engine), tag: nameInStore(engine, location.name), name, done: 'loaded' };
}

function indexTarget(name: string): BuildError {
	return new BuildError('REFERENCE_INVALID', `cannot write an image by its number: ${name}`, {
		hint: 'Name the image in the archive as docker-archive:FILE:NAME:TAG.',
	});
}

function digestTarget(name: string): BuildError {
	return new BuildError('REFERENCE_INVALID', `cannot push to a digest: ${name}`, {
		hint: 'Name the target by repository and tag; its digest follows from what is built.',
	});
}
