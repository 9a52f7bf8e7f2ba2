import { bashScript } from './completion-bash.js';
import type { SHELLS } from './completion-command.js';
import { fishScript } from './completion-fish.js';
import { zshScript } from './completion-zsh.js';
import type { CompletedCommand } from './grammars.js';

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** The script that makes `shell` complete `commands`, for the names s2oci, s2i and sti. */
export function completionScript(shell: (typeof SHELLS)[number], commands: readonly CompletedCommand[]): string {
	return SCRIPTS[shell](commands);
}
