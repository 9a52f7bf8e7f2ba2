import { buildCommand } from './commands/build.js';
import { completionCommand } from './commands/completion.js';
import { createCommand } from './commands/create.js';
import { doctorCommand } from './commands/doctor.js';
import { generateCommand } from './commands/generate.js';
import { pruneCommand } from './commands/prune.js';
import { rebuildCommand } from './commands/rebuild.js';
import { runCommand } from './commands/run.js';
import { storeCommand } from './commands/store.js';
import { usageCommand } from './commands/usage.js';
import type { CompletedCommand } from './completed-command.js';
import { optionsOf, type PositionalSpec, positionalsOf } from './options.js';

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
