import { buildCommand } from './build-command.js';
import { completionCommand } from './completion-command.js';
import { createCommand } from './create-command.js';
import { doctorCommand } from './doctor-command.js';
import { generateCommand } from './generate-command.js';
import { type OptionSpec, optionsOf, type PositionalSpec, positionalsOf } from './options.js';
import { pruneCommand } from './prune-command.js';
import { rebuildCommand } from './rebuild-command.js';
import { runCommand } from './run-command.js';
import { storeCommand } from './store-command.js';
import { usageCommand } from './usage-command.js';

/** A command as shells complete it. */
export interface CompletedCommand {
	readonly name: string;
	readonly description: string;
	readonly options: readonly OptionSpec[];
	readonly positionals: readonly PositionalSpec[];
}

const withArguments: readonly CompletedCommand[] = [
	buildCommand,
	rebuildCommand,
	runCommand,
	usageCommand,
	createCommand,
	generateCommand,
	doctorCommand,
	storeCommand,
	pruneCommand,
	completionCommand,
].map((grammar) => ({
	name: grammar.name,
	description: grammar.description.split(/[.:\n]/)[0] ?? '',
	options: optionsOf<unknown>(grammar),
	positionals: positionalsOf<unknown>(grammar),
}));

const TOPIC: PositionalSpec = {
	value: 'command',
	description: 'what to explain',
	required: false,
	offer: withArguments.map(({ name }) => name),
};

/** All commands, in the order of the help. */
export const grammars: readonly CompletedCommand[] = [
	...withArguments,
	{ name: 'version', description: 'Print the version', options: [], positionals: [] },
	{ name: 'help', description: 'Explain a command', options: [], positionals: [TOPIC] },
];
