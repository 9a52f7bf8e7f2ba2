/** The name under which the program was called; `sti` is the S2I of 2014. */
export type ProgramName = 's2oci' | 's2i' | 'sti';

/** One argument. Options have their long names, whatever was typed. */
export type Word =
	| { readonly type: 'option'; readonly long: string; readonly value: string }
	| { readonly type: 'flag'; readonly long: string; readonly on: boolean }
	| { readonly type: 'positional'; readonly value: string };

/** cmd-ts takes an empty value for none and a leading dash for an option, so no value is given to it without this. */
export const MARK = ':';
