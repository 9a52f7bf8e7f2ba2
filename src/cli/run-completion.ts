import type { Perform } from './command.js';
import type { CompletionArguments } from './completion-command.js';
import { SHELLS } from './completion-command.js';
import { oneOf } from './host-request.js';

/** Prints the completion script of a shell. */
export const runCompletion: Perform<CompletionArguments> = async ({ value }, { io }) => {
	const shell = oneOf('completion', SHELLS, value.shell);
	const [{ grammars }, { completionScript }] = await Promise.all([
		import('./grammars.js'),
		import('./completion-script.js'),
	]);
	io.stdout.write(completionScript(shell, grammars));
	return 0;
};
