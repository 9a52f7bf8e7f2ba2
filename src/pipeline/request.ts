import type { Readable } from 'node:stream';
import type { ImageLocation } from '../content/location.js';
import type { Platform } from '../oci/descriptor.js';
import type { GivenCredentials } from '../registry/credentials.js';
import type { UidRange } from '../s2i/allowed-uids.js';
import type { EnvironmentVariable } from '../s2i/environment.js';
import type { PathPair } from '../s2i/volumes.js';
import type { Limits } from '../sandbox/limits.js';
import type { AddedFile } from '../source/add-files.js';
import type { ISOLATIONS, PULL_POLICIES, REUSE, ROOT_FILESYSTEMS, USER_NAMESPACES } from './choices.js';

/** When a registry is asked for an image. */
export type PullPolicy = (typeof PULL_POLICIES)[number];

/** Credentials for registries that stand in no file of this host, and what they are for. */
export interface ImageCredentials extends GivenCredentials {
	readonly use: 'pull' | 'push';
	/** Those that are on a registry count. */
	readonly images: readonly ImageLocation[];
}

/** What every command that talks to registries and runs a sandbox is told. */
export interface HostRequest {
	/** Absolute path of the layer store; made when it does not exist. */
	readonly store: string;
	/** Whether nobody named the store, so that another place is as good. */
	readonly storeByDefault?: boolean;
	/** Directories that are made for the store alone, outermost first, once the store is settled. */
	readonly storeParents?: readonly string[];
	readonly isolation: (typeof ISOLATIONS)[number];
	/** Which user namespace the worker runs in. */
	readonly userns: (typeof USER_NAMESPACES)[number];
	/** How the image is laid out for assemble to change it; `in-place`: it is the one that we run in. Goes with isolation `none` only. */
	readonly rootfs: (typeof ROOT_FILESYSTEMS)[number];
	/** Whose variant of a multi-platform image is taken; the host's by default. */
	readonly platform: Platform;
	/** Registry hosts (`host` or `host:port`) that may be spoken to over plain HTTP or with an unverified certificate. */
	readonly insecureRegistries: readonly string[];
	/** PEM file of extra certificate authorities, for our own TLS and, while it runs, for assemble's. */
	readonly caBundle: string | undefined;
	/** Absolute path of a Docker `config.json`; the usual places when undefined. */
	readonly dockerConfig: string | undefined;
	/** They count for their images before the usual places, and for no others. */
	readonly imageCredentials?: readonly ImageCredentials[];
	/** `image` when the URLs of the request are what an image's labels say: they must not lead to addresses that only this machine should use. */
	readonly namedBy?: 'image';
	/** What `-` as a source reads. */
	readonly stdin: () => Readable;
	/** The environment of the s2oci process: where credentials and proxies are looked up. */
	readonly env: Readonly<Record<string, string | undefined>>;
}

/** Where source code is, as typed, and which part of it is wanted. */
export interface SourceRequest {
	/** A directory, a git URL, an archive (path or URL), one file, or `-` for a tar on standard input. */
	readonly location: string;
	/** Git branch, tag or commit. */
	readonly ref: string | undefined;
	/** Directory below the source that is built. */
	readonly contextDir: string | undefined;
	/** Copy a local directory as it is even when it is a git repository. */
	readonly copy: boolean;
	/** Keep links of a copied directory as links; else what they point to is copied, as S2I does. */
	readonly keepSymlinks: boolean;
	readonly ignoreSubmodules: boolean;
	/** Regular expression for paths relative to the source that are left out; undefined is S2I's default, `''` leaves out nothing. */
	readonly exclude: string | undefined;
	/** Put into the source once it is fetched. */
	readonly files?: readonly AddedFile[];
	/** What of other images is copied into the source, in this order. */
	readonly images?: readonly SourceImage[];
	/** Variables for git, such as its proxies, over those of the process. */
	readonly gitEnvironment?: Readonly<Record<string, string>>;
}

/** An image whose files are copied into a source. */
export interface SourceImage {
	readonly image: ImageLocation;
	readonly pullPolicy: PullPolicy;
	/** From absolute paths of the image, `/.` at the end being what is in it, to directories relative to what is built, without `..`. */
	readonly paths: readonly PathPair[];
}

/** Where scripts come from, and who runs them. */
export interface ScriptsRequest {
	/** Where scripts are taken from first: an http, https, file or image URL. */
	readonly scriptsUrl: string | undefined;
	/** Overrides the builder's destination label. */
	readonly destination: string | undefined;
	/** Overrides the builder's assemble user. */
	readonly assembleUser: string | undefined;
	/** Undefined: every user is allowed. */
	readonly allowedUids: readonly UidRange[] | undefined;
}

/** Variables of assemble and of the image. */
export interface VariablesRequest {
	/** `-e`, in order. */
	readonly environment: readonly EnvironmentVariable[];
	/** Absolute path of `-E`; its variables win over `-e`. */
	readonly environmentFile: string | undefined;
	/** What is in that file, where it is a pipe and has been read. */
	readonly environmentText?: string;
}

/** A value that assemble can read from `/run/secrets/<id>` and that never enters the image. */
export interface Secret {
	readonly id: string;
	readonly from: { readonly file: string } | { readonly variable: string };
}

/** A file that is on no disk of this host, and where assemble sees it: absolute, or relative to WORKDIR. */
export interface ShownFile {
	readonly destination: string;
	readonly content: Uint8Array;
}

/** What scripts get that never enters the image, and what they may use. */
export interface AssembleRequest {
	/** Variables that assemble sees and the image does not. */
	readonly buildEnvironment: readonly EnvironmentVariable[];
	readonly secrets: readonly Secret[];
	readonly injections: readonly PathPair[];
	/** As injections. */
	readonly files?: readonly ShownFile[];
	readonly volumes: readonly (PathPair & { readonly readOnly: boolean })[];
	readonly limits: Limits;
	/** How long assemble may take, in ms. */
	readonly assembleTimeout: number | undefined;
}

/** Where artifacts of earlier builds come from, and go to. */
export interface IncrementalRequest {
	/** Run save-artifacts of the previous image. */
	readonly enabled: boolean;
	/** The first target when undefined. */
	readonly previousImage: ImageLocation | undefined;
	readonly pullPolicy: PullPolicy;
	/** Delete the previous manifest after a successful incremental build. */
	readonly removePrevious: boolean;
	/** Artifact stores: what fits the builder's digest wins, then what is newer. */
	readonly cacheFrom: readonly ImageLocation[];
	readonly cacheTo: readonly ImageLocation[];
}

/** The image that the result is based on instead of the builder, and what it gets of the builder. */
export interface RuntimeRequest {
	readonly image: ImageLocation;
	readonly pullPolicy: PullPolicy;
	/** Empty: the image's label `io.openshift.s2i.assemble-input-files` says. */
	readonly artifacts: readonly PathPair[];
	/** Overrides the label `io.openshift.s2i.assemble-runtime-user` and USER. */
	readonly user: string | undefined;
}

/** What the image says of itself. */
export interface ImageRequest {
	/** For `io.k8s.display-name`; the tag when undefined. */
	readonly applicationName: string | undefined;
	/** The tag as it was typed, without a transport; the builder's `io.k8s.display-name` is inherited when there is neither. */
	readonly tagName: string | undefined;
	readonly description: string | undefined;
	/** `--label`, in order. */
	readonly labels: readonly EnvironmentVariable[];
}

/** Who is told how the build ended. */
export interface Callback {
	readonly url: string;
	readonly format: 's2i' | 'sti';
}

/**
 * A command that says whether a built image may be pushed, in the forms of `postCommit` in a BuildConfig (build.openshift.io/v1,
 * BuildPostCommitSpec): `script` for `/bin/sh -ic`, whose `$1`... are `args`; or `command`, in place of ENTRYPOINT, with `args`; or `args`
 * alone, for the image's ENTRYPOINT. `script` and `command` exclude each other; one of the three is there.
 */
export interface BeforePush {
	readonly script?: string;
	readonly command?: readonly string[];
	readonly args?: readonly string[];
}

/** What becomes of the build. */
export interface OutputRequest {
	/** Where the image goes, the tag of the command line first. May be empty: then the image is only built and measured. */
	readonly targets: readonly ImageLocation[];
	readonly callback: Callback | undefined;
	/** Where the result will be written, when that is a file that can be read again. */
	readonly resultFile?: string;
	/** Keep the scratch directory and say where it is. */
	readonly saveTempDir: boolean;
	/** `--timestamp`, in seconds since 1970; undefined: the environment, else the source decides. */
	readonly timestamp: number | undefined;
	/** Build twice, and publish only if both layers are the same. */
	readonly checkReproducible: boolean;
	/** Runs in the built image; only when it ends with 0 is anything pushed. */
	readonly beforePush?: BeforePush | undefined;
	/** Whether an image of the same key may be named again; undefined: only one that this user built here, and without secrets. */
	readonly reuse: (typeof REUSE)[number] | undefined;
}

/** What a build is told, by who reads it. */
export interface BuildRequest {
	readonly host: HostRequest;
	readonly source: SourceRequest;
	readonly builder: ImageLocation;
	readonly pullPolicy: PullPolicy;
	readonly scripts: ScriptsRequest;
	readonly variables: VariablesRequest;
	readonly assemble: AssembleRequest;
	readonly incremental: IncrementalRequest;
	readonly runtime: RuntimeRequest | undefined;
	readonly image: ImageRequest;
	readonly output: OutputRequest;
}

/** What running an image is told. */
export interface RunRequest {
	readonly host: HostRequest;
	readonly image: ImageLocation;
	/** Replaces the image's CMD when not empty. */
	readonly args: readonly string[];
	readonly environment: readonly EnvironmentVariable[];
	/** None when undefined. */
	readonly limits?: Limits;
}
