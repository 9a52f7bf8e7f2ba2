import type { OptionSpec, PositionalSpec } from './options.js';

/** A command as shells complete it. */
export interface CompletedCommand {
	readonly name: string;
	readonly description: string;
	readonly options: readonly OptionSpec[];
	readonly positionals: readonly PositionalSpec[];
}
