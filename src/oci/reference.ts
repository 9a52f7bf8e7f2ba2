import type { Digest } from './digest.js';

/** A repository on a registry. `registry` is a host with an optional port, `docker.io` for Docker Hub. */
export interface RepositoryName {
	readonly registry: string;
	readonly path: string;
}

/** `registry/path[:tag][@digest]` after Docker Hub defaulting; the digest wins when both are present. */
export interface ImageReference {
	readonly repository: RepositoryName;
	readonly tag?: string;
	readonly digest?: Digest;
}
