import {
	type ArgumentTree,
	type Grammar,
	type OptionSpec,
	optionsOf,
	type PositionalSpec,
	positionalsOf,
} from './options.js';

/** A command as shells complete it. */
export interface CompletedCommand {
	readonly name: string;
	readonly description: string;
	readonly options: readonly OptionSpec[];
	readonly positionals: readonly PositionalSpec[];
}

/** The command of `grammar`, with the first sentence of its description. */
export function completedOf<A extends ArgumentTree>(grammar: Grammar<A>): CompletedCommand {
	return {
		name: grammar.name,
		description: grammar.description.split(/[.:\n]/)[0] ?? '',
		options: optionsOf(grammar),
		positionals: positionalsOf(grammar),
	};
}
