import { BuildError } from '../errors.js';
import { descendantsOf, killAll } from '../linux/processes.js';

/** How many processes a message names. */
const SHOWN = 5;

/**
 * Kills what descends from this process, to which orphans come back (PR_SET_CHILD_SUBREAPER). Resolves with the processes that could not
 * be ended.
 */
export function killDescendants(): Promise<readonly number[]> {
	return killAll((processes) => descendantsOf(process.pid, processes));
}

/**
 * Like {@link killDescendants}, but throws ASSEMBLE_SURVIVED when something is left: it could exchange files for links to the host's
 * while they are packed or removed.
 */
export async function endDescendants(): Promise<void> {
	const left = await killDescendants();
	if (left.length === 0) return;
	const shown = left.slice(0, SHOWN).join(', ');
	const more = left.length > SHOWN ? ` and ${left.length - SHOWN} more` : '';
	throw new BuildError('ASSEMBLE_SURVIVED', `what the script started could not be ended: process ${shown}${more}`, {
		hint: 'End it yourself. Where s2oci may make a pid namespace, the kernel ends all of it: see s2oci doctor.',
	});
}
