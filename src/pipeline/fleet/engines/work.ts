/** What can do the work of a fleet. */
export const ENGINES = ['gitlab', 'github', 'tekton', 'shipwright', 'kubernetes'] as const;

/** One of {@link ENGINES}. */
export type EngineName = (typeof ENGINES)[number];

/** What an engine is to do: build each of `images` again. */
export interface Work {
	/** Names in full, by the grammar of the distribution spec: no quote, space, `$` or control character is in them. */
	readonly images: readonly string[];
	/** How many are built before all others, which wait for them; undefined: none. */
	readonly canary: number | undefined;
	/** How many are built at the same time; undefined: as many as the engine likes. */
	readonly maxParallel: number | undefined;
	/** The image with s2oci in which each is built; undefined only where the engine's own files say that. */
	readonly jobImage: string | undefined;
	/** Name of the cluster's secret with the credentials for registries. */
	readonly credentials: string | undefined;
	/** Options of `s2oci rebuild`, besides the image. */
	readonly options: readonly string[];
}

/** Work as an engine reads it, and how many images of it are not there, since the engine takes no more of them at once. */
export interface EngineWork {
	readonly document: unknown;
	readonly left: number;
}
