import { bashScript, fishScript, zshScript } from '../completion-scripts.js';
import { type CompletedCommand, type Grammar, required } from '../options.js';
import type { Definition } from '../parse-command.js';
import { oneOf } from '../values.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

const completionArguments = { shell: required('shell', 'bash, zsh or fish', [...SHELLS]) };

/** The grammar and the help of `s2oci completion`. */
export const completionCommand: Grammar<typeof completionArguments> = {
	name: 'completion',
	description: 'Print a script that teaches a shell to complete the commands and options of s2oci.',
	examples: [
		{ description: 'For this bash', command: 'source <(s2oci completion bash)' },
		{ description: 'For every zsh', command: 's2oci completion zsh > "${fpath[1]}/_s2oci"' },
		{ description: 'For every fish', command: 's2oci completion fish > ~/.config/fish/completions/s2oci.fish' },
	],
	args: completionArguments,
};

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** `s2oci completion`, which prints the script that makes a shell complete all commands, for the names s2oci, s2i and sti. */
export function completionOf(
	loadCommands: () => Promise<readonly CompletedCommand[]>,
): Definition<typeof completionArguments> {
	return {
		grammar: completionCommand,
		perform: async ({ value }, { io }) => {
			const shell = oneOf('completion', SHELLS, value.shell);
			io.stdout.write(SCRIPTS[shell](await loadCommands()));
			return 0;
		},
	};
}
