import type { Digest } from '../oci/digest.js';
import type { Rootfs, RungNumber, UserNamespace } from '../sandbox/ladder.js';
import type { SandboxName } from '../sandbox/sandboxes.js';

/** The steps of a build, in the order in which they usually begin. Several run at the same time. */
export type Stage =
	| 'resolve'
	| 'source'
	| 'pull'
	| 'prepare'
	| 'onbuild'
	| 'artifacts'
	| 'assemble'
	| 'runtime'
	| 'diff'
	| 'pack'
	| 'check'
	| 'before-push'
	| 'push';

/** What moves bytes. `unpack` counts uncompressed bytes, the others compressed ones, except `pack`, which counts what it reads. */
export type Transfer = 'pull' | 'unpack' | 'pack' | 'push';

/** Which rung of the privilege ladder a build runs on, and why. */
export interface Rung {
	/** 1 is the best (docs/rungs.md). */
	readonly number: RungNumber;
	readonly userNamespace: UserNamespace;
	readonly rootfs: Rootfs;
	readonly sandbox: SandboxName;
	/** Why none better, in words of people. */
	readonly reason: string;
	/** What would raise it, where anything is known that would. */
	readonly advice?: string;
}

/** Everything the core reports. `--log-format json` prints these, one a line, so the union is documented API (docs/events.md). */
export type BuildEvent =
	| { readonly type: 'stage'; readonly stage: Stage; readonly status: 'start' }
	| {
			readonly type: 'stage';
			readonly stage: Stage;
			readonly status: 'done';
			readonly ms: number;
			readonly detail?: string;
	  }
	| {
			readonly type: 'blob';
			readonly transfer: Transfer;
			readonly digest: Digest;
			readonly size: number;
			readonly status: 'start' | 'present' | 'mounted' | 'done';
	  }
	| {
			readonly type: 'progress';
			readonly transfer: Transfer;
			readonly digest?: Digest;
			readonly done: number;
			readonly total?: number;
	  }
	| { readonly type: 'output'; readonly from: 'stdout' | 'stderr'; readonly chunk: Uint8Array }
	| {
			readonly type: 'retry';
			readonly what: string;
			readonly attempt: number;
			readonly afterMs: number;
			readonly reason: string;
	  }
	| { readonly type: 'rung'; readonly rung: Rung }
	/** `level` is the lowest `--loglevel` that shows it: 0 always, 1 steps, 2 configuration, 3 decisions, 4 transfers, 5 files. */
	| { readonly type: 'log'; readonly level: 0 | 1 | 2 | 3 | 4 | 5; readonly message: string }
	| { readonly type: 'warning'; readonly code: string; readonly message: string };

export type Emit = (event: BuildEvent) => void;
