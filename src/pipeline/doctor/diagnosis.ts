import type { RungNumber } from '../../sandbox/ladder.js';
import type { SandboxName } from '../../sandbox/sandboxes.js';
import type { Finding, FindingCode } from './advice.js';
import type { EnvironmentName } from './facts.js';

/** Whether one sandbox ran a program. */
export interface SandboxTrial {
	readonly name: SandboxName;
	readonly works: boolean;
	/** Why not. */
	readonly reason?: string;
}

/** How an attempt to build on one rung went: `skipped` when this user needs no such rung, `unknown` when only a build can tell. */
export interface RungTrial {
	readonly rung: RungNumber;
	readonly name: string;
	readonly status: 'works' | 'blocked' | 'skipped' | 'unknown';
	/** What the kernel or a program said, or why it was not tried. */
	readonly reason: string;
	readonly findings: readonly FindingCode[];
	readonly sandboxes: readonly SandboxTrial[];
}

/** Where layers are kept. Sizes in bytes. */
export interface StoreState {
	readonly path: string;
	readonly fileSystem: string;
	readonly mountPoint: string;
	readonly mountOptions: readonly string[];
	readonly freeBytes: number | undefined;
	readonly writable: boolean;
	readonly findings: readonly FindingCode[];
}

/** A program of the host, and where it is. */
export interface ProgramState {
	readonly name: string;
	readonly path: string | undefined;
}

/** What a registry answered. `unknown` is what was not asked or could not be told. */
export interface RegistryTrial {
	/** As named on the command line. */
	readonly name: string;
	readonly reachable: boolean;
	/** Who we are to it, and in which file that is written; no secret. */
	readonly login: { readonly user: string | undefined; readonly source: string; readonly accepted: Answer };
	readonly pull: Answer;
	readonly push: Answer;
	/** Whether it shares blobs among repositories instead of having them uploaded again. */
	readonly mount: Answer;
	/** What the registry, or the way to it, said where an answer is `no`. */
	readonly reasons: readonly string[];
	readonly findings: readonly FindingCode[];
	/** Whether a build could use it for something. */
	readonly ok: boolean;
}

/** An answer of a registry. */
export type Answer = 'yes' | 'no' | 'unknown';

/** What `s2oci doctor` found; with `--json` it is printed as it is. */
export interface Diagnosis {
	/** Of this document. */
	readonly version: 1;
	/** Where we seem to be, most special first. */
	readonly places: readonly EnvironmentName[];
	readonly rungs: readonly RungTrial[];
	/** What a build here and now would take, proven by starting it; undefined when it would fail. */
	readonly best: { readonly rung: RungNumber; readonly sandbox: SandboxName; readonly reason: string } | undefined;
	readonly store: StoreState;
	readonly programs: readonly ProgramState[];
	readonly registries: readonly RegistryTrial[];
	readonly findings: readonly Finding[];
}
