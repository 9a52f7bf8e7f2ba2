import { type Grammar, required } from './options.js';

/** The arguments of `s2oci completion`, as typed. */
export interface CompletionArguments {
	readonly shell: string;
}

/** The shells that {@link completionCommand} knows. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;

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
