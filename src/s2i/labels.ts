import type { Digest } from '../oci/digest.js';
import type { SourceInfo } from '../source/source.js';

/** The builder image a result is made from: its normalised name and manifest digest. */
export interface Builder {
	readonly name: string;
	readonly digest: Digest;
}

const BUILD = 'io.openshift.s2i.build';

/**
 * The labels that a build writes: what S2I writes (build image, commit, source location), the display name when there is a tag,
 * and the digest of the builder image. Empty values are left out.
 */
export function sourceLabels(
	source: SourceInfo,
	builder: Builder,
	displayName: string | undefined,
): Readonly<Record<string, string>> {
	return withoutEmpty({
		'io.k8s.display-name': displayName,
		[`${BUILD}.image`]: builder.name,
		[`${BUILD}.commit.author`]: source.author,
		[`${BUILD}.commit.date`]: source.date,
		[`${BUILD}.commit.id`]: source.commit,
		[`${BUILD}.commit.ref`]: source.ref,
		[`${BUILD}.commit.message`]: source.message,
		[`${BUILD}.source-location`]: source.location,
		[`${BUILD}.source-context-dir`]: source.contextDir,
		'io.s2oci.builder-digest': builder.digest,
	});
}

/** The annotations of the result's manifest (image-spec v1.1 annotations.md); `source` only when it is a URL. */
export function sourceAnnotations(
	source: SourceInfo,
	builder: Builder,
	created: string,
): Readonly<Record<string, string>> {
	return withoutEmpty({
		'org.opencontainers.image.base.name': builder.name,
		'org.opencontainers.image.base.digest': builder.digest,
		'org.opencontainers.image.created': created,
		'org.opencontainers.image.source': /^[^/]+:/.test(source.location) ? source.location : undefined,
		'org.opencontainers.image.revision': source.commit,
	});
}

function withoutEmpty(values: Readonly<Record<string, string | undefined>>): Record<string, string> {
	return Object.fromEntries(Object.entries(values).filter((entry): entry is [string, string] => Boolean(entry[1])));
}
