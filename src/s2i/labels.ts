import type { Digest } from '../oci/digest.js';
import type { SourceInfo } from '../source/source.js';

/** The image a result is made from: its normalised name and manifest digest. */
export interface Builder {
	readonly name: string;
	readonly digest: Digest;
}

/** What the result is called: texts for people, inherited from the base when undefined. */
export interface Description {
	/** The application name, else the tag as the user gave it. */
	readonly displayName: string | undefined;
	readonly description: string | undefined;
}

const BUILD = 'io.openshift.s2i.build';
/** The label with the manifest digest of the builder image. */
export const BUILDER_LABEL = 'io.s2oci.builder-digest';
/** The label with the digest of all that the image was built from, by which an unchanged build is known. */
export const KEY_LABEL = 'io.s2oci.build-key';
/** Of a builder image, or of `image_metadata.json`: `true` says that assemble makes something else each time. */
export const VOLATILE_LABEL = 'io.s2oci.volatile';

/**
 * The labels that a build writes: what S2I writes (build image, commit, source location), name and description when there are
 * any, and the digest of the builder image. Empty values are left out. URLs are without credentials.
 */
export function sourceLabels(
	source: SourceInfo,
	builder: { readonly name: string; readonly digest?: Digest },
	{ displayName, description }: Description,
): Readonly<Record<string, string>> {
	return withoutEmpty({
		'io.k8s.description': description,
		'io.k8s.display-name': displayName,
		[`${BUILD}.image`]: builder.name,
		[`${BUILD}.commit.author`]: source.author,
		[`${BUILD}.commit.date`]: source.date,
		[`${BUILD}.commit.id`]: source.commit,
		[`${BUILD}.commit.ref`]: source.ref,
		[`${BUILD}.commit.message`]: source.message,
		[`${BUILD}.source-location`]: withoutCredentials(source.location),
		[`${BUILD}.source-context-dir`]: source.contextDir,
		[BUILDER_LABEL]: builder.digest,
	});
}

/** Whether the label `name` says how an image was built: only the build itself writes these, and `rebuild` believes them. */
export function isBuildLabel(name: string): boolean {
	return name.startsWith(`${BUILD}.`) || name.startsWith('io.s2oci.');
}

/**
 * `labels` of a base image without what an earlier build said of another source, which would be told of this one; or those of assemble
 * without what would make this build look like another.
 */
export function withoutBuildLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
	return Object.fromEntries(Object.entries(labels).filter(([name]) => !isBuildLabel(name)));
}

/** The annotations of the result's manifest (image-spec v1.1 annotations.md); `source` only when it is a URL. */
export function sourceAnnotations(
	source: SourceInfo,
	base: Builder,
	created: string,
): Readonly<Record<string, string>> {
	return withoutEmpty({
		'org.opencontainers.image.base.name': base.name,
		'org.opencontainers.image.base.digest': base.digest,
		'org.opencontainers.image.created': created,
		'org.opencontainers.image.source': /^[^/]+:/.test(source.location)
			? withoutCredentials(source.location)
			: undefined,
		'org.opencontainers.image.revision': source.commit,
	});
}

/** A URL without user info (but the user name of ssh), query and fragment, each of which may hold a secret; any other text as it is. */
export function withoutCredentials(text: string): string {
	if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return text;
	const [, user = ''] = /^(?:git\+)?ssh:\/\/([^/?#:@]*@|[^/?#:@]*(?=:[^/?#]*@))/i.exec(text) ?? [];
	const kept = user === '' ? '' : `${user.replace(/@$/, '')}@`;
	return text.replace(/^([^:]+:\/\/)(?:[^/?#]*@)?([^?#]*).*$/s, `$1${kept.replaceAll('$', '$$$$')}$2`);
}

function withoutEmpty(values: Readonly<Record<string, string | undefined>>): Record<string, string> {
	return Object.fromEntries(Object.entries(values).filter((entry): entry is [string, string] => Boolean(entry[1])));
}
