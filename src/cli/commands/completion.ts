import type { Definition } from '../command.js';
import type { CompletedCommand } from '../completed-command.js';
import { bashScript } from '../completion-bash.js';
import { fishScript } from '../completion-fish.js';
import { zshScript } from '../completion-zsh.js';
import { oneOf } from '../host-request.js';
import { type Grammar, required } from '../options.js';

/** The arguments of `s2oci completion`, as typed. */
export interface CompletionArguments {
	readonly shell: string;
}

const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** The grammar and the help of `s2oci completion`. */
export const completionCommand: Grammar<CompletionArguments> = {
	name: 'completion',
	description: 'Print a script that teaches a shell to complete the commands and options of s2oci.',
	examples: [
		{ description: 'For this bash', command: 'source <(s2oci completion bash)' },
		{ description: 'For every zsh', command: 's2oci completion zsh > "${fpath[1]}/_s2oci"' },
		{ description: 'For every fish', command: 's2oci completion fish > ~/.config/fish/completions/s2oci.fish' },
	],
	args: { shell: required('shell', 'bash, zsh or fish', [...SHELLS]) },
};

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** `s2oci completion`, which prints the script that makes a shell complete all commands, for the names s2oci, s2i and sti. */
export function completionOf(
	loadCommands: () => Promise<readonly CompletedCommand[]>,
): Definition<CompletionArguments> {
	return {
		grammar: completionCommand,
		perform: async ({ value }, { io }) => {
			const shell = oneOf('completion', SHELLS, value.shell);
			io.stdout.write(SCRIPTS[shell](await loadCommands()));
			return 0;
		},
	};
}
