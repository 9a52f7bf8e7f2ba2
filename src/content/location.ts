import { BuildError } from '../errors.js';
import { absolutePath } from '../host-path.js';
import { isDigest } from '../oci/digest.js';
import { formatReference, type ImageReference, namesRegistry, parseReference } from '../oci/reference.js';
import { redactWord } from '../redact.js';

/**
 * Where an image is read from or written to, as the command line names it. `path` is as typed, relative to the working directory. `bare` is the
 * name as typed where it names no registry, so that the reference is Docker Hub's by default only.
 */
export type ImageLocation =
	| { readonly type: 'registry'; readonly reference: ImageReference; readonly bare?: string }
	| { readonly type: 'oci'; readonly path: string; readonly ref?: string }
	| { readonly type: 'oci-archive'; readonly path: string; readonly ref?: string }
	| { readonly type: 'docker-archive'; readonly path: string; readonly ref?: string }
	| EngineLocation;

/** An image in the store of a local engine. `name` is as typed: a reference without registry means what the engine makes of it. */
export interface EngineLocation {
	readonly type: 'podman' | 'docker-daemon';
	readonly name: string;
}

const ENGINE_LOCATION = /^(podman|containers-storage|docker-daemon):(.*)$/s;
/** `podman:5000/app` is the repository `app` on a host called podman. */
const PORT = /^\d{1,5}\//;
const FILE_LOCATION = /^(oci|oci-archive|docker-archive):([^:]*)(?::(.*))?$/s;
const OCI_REF = /^[A-Za-z0-9]+(?:[-._:@+/]+[A-Za-z0-9]+)*$/;

const INDEX = /^@(?:0|[1-9]\d{0,5})$/;

/**
 * `oci:DIR[:REF]`, `oci-archive:FILE[:REF]`, `docker-archive:FILE[:NAME[:TAG]|:@INDEX]`, `podman:NAME` (or `containers-storage:NAME`),
 * `docker-daemon:NAME`, or a reference with or without `docker://`. Throws REFERENCE_INVALID.
 */
export function parseImageLocation(text: string): ImageLocation {
	const [, engine, name = ''] = ENGINE_LOCATION.exec(text) ?? [];
	if (engine !== undefined && !PORT.test(name)) return parseEngineLocation(engine, name, text);
	const match = FILE_LOCATION.exec(text);
	if (match === null) return parseRegistryLocation(text.replace(/^docker:\/\//, ''));
	const [, type, path = '', ref] = match;
	if (path === '') throw invalid(text, 'the path is missing');
	const where = { path, ...(ref === undefined ? {} : { ref: parseRef(type, ref, text) }) };
	return type === 'oci' || type === 'oci-archive' ? { type, ...where } : { type: 'docker-archive', ...where };
}

/** `location` as {@link parseImageLocation} reads it, registry references in full. */
export function formatImageLocation(location: ImageLocation): string {
	if (location.type === 'registry') return formatReference(location.reference);
	if (isEngineLocation(location)) return `${location.type}:${location.name}`;
	return `${location.type}:${location.path}${location.ref === undefined ? '' : `:${location.ref}`}`;
}

/** Whether an image is in the store of a local engine. */
export function isEngineLocation(location: ImageLocation): location is EngineLocation {
	return location.type === 'podman' || location.type === 'docker-daemon';
}

/** `location` with its path absolute, where it has one: where we are now is not where somebody reads it. */
export function absoluteLocation(location: ImageLocation): ImageLocation {
	if (location.type === 'registry' || isEngineLocation(location)) return location;
	return { ...location, path: absolutePath(location.path) };
}

/** `location` as a place where an image gets no tag, and only its digest names it; as it is where that is no registry. */
export function withoutTag(location: ImageLocation): ImageLocation {
	if (location.type !== 'registry') return location;
	const { repository, digest } = location.reference;
	return { ...location, reference: { repository, ...(digest !== undefined && { digest }) } };
}

/** Whether `location` says which image it means: a repository alone does not. */
export function namesImage(location: ImageLocation): boolean {
	if (location.type !== 'registry') return true;
	const { tag, digest } = location.reference;
	return tag !== undefined || digest !== undefined;
}

/** How labels and annotations call the image: by its reference in full, which says nothing of where it was found, as S2I does. */
export function imageNameOf(location: ImageLocation): string {
	if (!isEngineLocation(location)) return formatImageLocation(location);
	return isDigest(location.name) ? location.name : formatReference(parseReference(location.name));
}

function parseRegistryLocation(name: string): ImageLocation {
	const reference = parseReference(name);
	return { type: 'registry', reference, ...(!namesRegistry(name) && { bare: name }) };
}

function parseEngineLocation(engine: string, name: string, text: string): EngineLocation {
	const type = engine === 'docker-daemon' ? engine : 'podman';
	if (name.startsWith('[')) {
		throw invalid(
			text,
			'which store is used says the file that CONTAINERS_STORAGE_CONF names, not the name of an image',
		);
	}
	if (name === '') throw invalid(text, 'it names no image');
	if (!isDigest(name)) parseReference(name);
	return { type, name };
}

function parseRef(type: string | undefined, ref: string, text: string): string {
	if (type !== 'docker-archive') {
		if (ref.length > 255 || !OCI_REF.test(ref)) throw invalid(text, 'what follows the path is not a reference name');
		return ref;
	}
	if (INDEX.test(ref)) return ref;
	const reference = parseReference(ref);
	if (reference.digest !== undefined) throw invalid(text, 'a Docker archive names images by tag, not by digest');
	return formatReference(reference);
}

function invalid(text: string, why: string): BuildError {
	return new BuildError(
		'REFERENCE_INVALID',
		`not an image location: ${JSON.stringify(redactWord(text).slice(0, 200))}: ${why}`,
		{
			hint: 'Write it as oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:NAME:TAG|:@INDEX], podman:NAME, docker-daemon:NAME or [registry/]repository[:tag].',
		},
	);
}
