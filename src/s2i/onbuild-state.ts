import type { ContainerConfig } from '../oci/image.js';
import { expand, type Variables } from './onbuild-words.js';

/** A container config with the fields that only Docker's images have. */
export interface OnBuildConfig extends ContainerConfig {
	readonly ExposedPorts?: Readonly<Record<string, object>> | null;
	readonly Shell?: readonly string[] | null;
	readonly Healthcheck?: object;
}

/** What one instruction does to files, in order. Users are in USER syntax, `''` being root; paths of the image are absolute. */
export type OnBuildStep = { readonly text: string } & (
	| {
			readonly type: 'copy';
			/** Clean paths and Go globs relative to the source; `''` is the source itself. */
			readonly sources: readonly string[];
			readonly destination: string;
			/** A file goes below `destination` under its own name. */
			readonly intoDirectory: boolean;
			/** Tar archives are unpacked. */
			readonly extract: boolean;
			/** `--chown`; undefined: root. */
			readonly chown: string | undefined;
			/** Permission bits. */
			readonly mode: number | undefined;
	  }
	| { readonly type: 'directory'; readonly path: string; readonly user: string }
	| {
			readonly type: 'run';
			readonly argv: readonly [string, ...string[]];
			/** ENV and ARG so far. */
			readonly env: Readonly<Record<string, string>>;
			readonly cwd: string;
			readonly user: string;
	  }
);

/** The build after the instructions so far. */
export interface OnBuildState {
	readonly env: Map<string, string>;
	readonly args: Map<string, string>;
	readonly steps: OnBuildStep[];
	/** Of the instructions that were replaced while all others stay as they are. */
	config: OnBuildConfig;
	cwd: string;
	/** Whether an instruction gave CMD: ENTRYPOINT takes away only an inherited one. */
	hasCommand: boolean;
	readonly variables: Variables;
}

/** One instruction: `name` in upper case, `rest` without white space around it, `text` the whole for messages. */
export interface Instruction {
	readonly name: string;
	readonly rest: string;
	readonly text: string;
}

/** `word` of `instruction` with the variables of `state`. */
export function expandWord(word: string, state: OnBuildState, { text }: Instruction): string {
	return expand(word, state.variables, text);
}

/** What runs a command in shell form. */
export function shellOf({ config }: OnBuildState): readonly [string, ...string[]] {
	const [program, ...rest] = Array.isArray(config.Shell) ? config.Shell.map(String) : [];
	return program === undefined ? ['/bin/sh', '-c'] : [program, ...rest];
}
