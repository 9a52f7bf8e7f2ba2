import { basename } from 'node:path';
import type { CommandIo } from './io.js';

/** The name under which the program was called; `sti` is the S2I of 2014. */
export type ProgramName = 's2oci' | 's2i' | 'sti';

/** A line about what was typed, for the user; the event that it becomes is a warning. */
export interface Notice {
	readonly code: 'DEPRECATED' | 'WITHOUT_EFFECT' | 'REPEATED' | 'BUILD_CONFIG';
	readonly message: string;
}

/** One argument. Options have their long names, whatever was typed. */
export type Word =
	| { readonly type: 'option'; readonly long: string; readonly value: string }
	| { readonly type: 'flag'; readonly long: string; readonly on: boolean }
	| { readonly type: 'positional'; readonly value: string };

/** An option of S2I that stands for another one, or for nothing at all. */
export interface Alias {
	readonly takesValue: boolean;
	/** What the user is told: that it is deprecated and what to write now, or why it has no effect; undefined for nothing. */
	readonly notice: Notice | undefined;
	/** The environment variable that it stands for. */
	readonly variable?: string;
	/** What it stands for; a flag without a value gets `''`, and whether it is on. */
	readonly words: (value: string, on: boolean) => readonly Word[];
}

/** Options of S2I that a command takes, so that its command lines work, and that change nothing here. */
export type WithoutEffect = ReadonlyMap<string, Alias>;

/** The name under which s2oci was called: `S2OCI_NAME`, else the name of the program or of the link to it. */
export function programName({ argv, env }: Pick<CommandIo, 'argv' | 'env'>): ProgramName {
	const name = env['S2OCI_NAME'] ?? basename(argv?.[1] ?? '').replace(/\.js$/, '');
	return name === 's2i' || name === 'sti' ? name : 's2oci';
}
