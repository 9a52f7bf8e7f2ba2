import type { ImageLocation } from '../content/location.js';
import type { BuildEvent } from '../pipeline/events.js';
import type { AssembleRequest, HostRequest, PullPolicy, SourceRequest } from '../pipeline/request.js';
import type { PathPair } from '../s2i/volumes.js';
import type { Limits } from '../sandbox/limits.js';

/** An image as the command line names it, or as a value. */
export type ImageName = string | ImageLocation;

/** Names and their values. */
export type Variables = Readonly<Record<string, string>>;

/** How registries are reached; as with the options of the command line. */
export interface RegistryOptions
	extends Partial<Pick<HostRequest, 'platform' | 'insecureRegistries' | 'caBundle' | 'dockerConfig'>> {
	/** Where proxies, credentials and defaults are looked up; that of this process by default. */
	readonly env?: HostRequest['env'];
}

/** What is told and asked while something runs. */
export interface Watching {
	/** Told of everything as it happens. It must not throw. */
	readonly onEvent?: (event: BuildEvent) => void;
	/** Ends it; what was made is removed. */
	readonly signal?: AbortSignal;
}

/** What `build` is told. What is left out is as if the command line did not say it; paths may be relative to the working directory. */
export interface BuildOptions
	extends RegistryOptions,
		Partial<Pick<HostRequest, 'store' | 'isolation' | 'userns' | 'rootfs'>>,
		Partial<Pick<AssembleRequest, 'secrets' | 'injections' | 'volumes' | 'assembleTimeout'>> {
	/** A directory, a git URL, an archive or one file, and which part of it. */
	readonly source: string | (Pick<SourceRequest, 'location'> & Partial<SourceRequest>);
	readonly builder: ImageName;
	/** Where the image goes, the one that it is named after first. Without any it is only built and measured. */
	readonly targets?: readonly ImageName[];
	readonly pullPolicy?: PullPolicy;
	/** Variables of assemble and of the image. */
	readonly environment?: Variables;
	/** Variables of assemble alone. */
	readonly buildEnvironment?: Variables;
	readonly labels?: Variables;
	/** Where scripts are looked for first: an http, https, file or image URL. */
	readonly scriptsUrl?: string;
	readonly limits?: Partial<Pick<Limits, 'network' | 'memory' | 'cpus' | 'pids'>>;
	/** The image that the result is based on instead of the builder, and what it gets of the builder. */
	readonly runtime?: { readonly image: ImageName; readonly artifacts?: readonly PathPair[] };
	/** Where artifacts of earlier builds come from, and go to; `enabled` takes those of the image that the first target names. */
	readonly incremental?: {
		readonly enabled?: boolean;
		readonly cacheFrom?: readonly ImageLocation[];
		readonly cacheTo?: readonly ImageLocation[];
	};
	/** Seconds since 1970 that nothing in the image is newer than; the environment, else the source decides. */
	readonly timestamp?: number;
	readonly checkReproducible?: boolean;
	readonly reuse?: 'auto' | 'never';
}
