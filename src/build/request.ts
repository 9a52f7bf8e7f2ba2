import type { ImageLocation } from '../content/location.js';
import type { Platform } from '../oci/descriptor.js';

/** What every command that talks to registries and runs a sandbox is told. */
export interface HostRequest {
	/** Absolute path of the layer store; made when it does not exist. */
	readonly store: string;
	readonly isolation: 'auto' | 'runc' | 'crun' | 'bwrap';
	/** Whose variant of a multi-platform image is taken; the host's by default. */
	readonly platform: Platform;
	/** Registry hosts (`host` or `host:port`) that may be spoken to over plain HTTP or with an unverified certificate. */
	readonly insecureRegistries: readonly string[];
	/** PEM file of extra certificate authorities, for our own TLS and, while it runs, for assemble's. */
	readonly caBundle: string | undefined;
	/** The environment of the s2oci process: where credentials and proxies are looked up. */
	readonly env: Readonly<Record<string, string | undefined>>;
}

export interface BuildRequest extends HostRequest {
	/** A directory or a git URL, as typed. */
	readonly source: string;
	/** Git branch, tag or commit. */
	readonly ref: string | undefined;
	/** Directory below the source that is built. */
	readonly contextDir: string | undefined;
	/** Copy a local directory as it is even when it is a git repository. */
	readonly copy: boolean;
	readonly builder: ImageLocation;
	/** Where the image goes, the tag of the command line first. May be empty: then the image is only built and measured. */
	readonly targets: readonly ImageLocation[];
	/** `-e`, in order. */
	readonly environment: readonly { readonly name: string; readonly value: string }[];
}

export interface RunRequest extends HostRequest {
	readonly image: ImageLocation;
	/** Replaces the image's CMD when not empty. */
	readonly args: readonly string[];
	readonly environment: readonly { readonly name: string; readonly value: string }[];
}
