import { BuildError } from '../errors.js';
import { formatReference, type ImageReference, parseReference } from '../oci/reference.js';

/** Where an image is read from or written to, as the command line names it. `path` is as typed, relative to the working directory. */
export type ImageLocation =
	| { readonly type: 'registry'; readonly reference: ImageReference }
	| { readonly type: 'oci'; readonly path: string; readonly ref?: string }
	| { readonly type: 'oci-archive'; readonly path: string; readonly ref?: string }
	| { readonly type: 'docker-archive'; readonly path: string; readonly ref?: string };

const FILE_LOCATION = /^(oci|oci-archive|docker-archive):([^:]*)(?::(.*))?$/s;
const OCI_REF = /^[A-Za-z0-9]+(?:[-._:@+/]+[A-Za-z0-9]+)*$/;

const INDEX = /^@(?:0|[1-9]\d{0,5})$/;

/**
 * `oci:DIR[:REF]`, `oci-archive:FILE[:REF]`, `docker-archive:FILE[:NAME[:TAG]|:@INDEX]`, or a reference with or without `docker://`.
 * Throws REFERENCE_INVALID.
 */
export function parseImageLocation(text: string): ImageLocation {
	const match = FILE_LOCATION.exec(text);
	if (match === null) return { type: 'registry', reference: parseReference(text.replace(/^docker:\/\//, '')) };
	const [, type, path = '', ref] = match;
	if (path === '') throw invalid(text, 'the path is missing');
	const where = { path, ...(ref === undefined ? {} : { ref: parseRef(type, ref, text) }) };
	return type === 'oci' || type === 'oci-archive' ? { type, ...where } : { type: 'docker-archive', ...where };
}

/** `location` as {@link parseImageLocation} reads it, registry references in full. */
export function formatImageLocation(location: ImageLocation): string {
	if (location.type === 'registry') return formatReference(location.reference);
	return `${location.type}:${location.path}${location.ref === undefined ? '' : `:${location.ref}`}`;
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
	return new BuildError('REFERENCE_INVALID', `not an image location: ${JSON.stringify(text.slice(0, 200))}: ${why}`, {
		hint: 'Write it as oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:NAME:TAG|:@INDEX] or [registry/]repository[:tag].',
	});
}
