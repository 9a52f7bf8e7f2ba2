import { fileURLToPath } from 'node:url';
import { findProgram } from '../program.js';
import type { NamespacePlan } from './user-namespace.js';

const ENTRY = fileURLToPath(new URL('../worker/main.js', import.meta.url));
/** Waits for its ids to be mapped before it becomes Node, since only an exec as a mapped root gains capabilities. */
const WAIT = 'read -r _ <&4 || exit 1; exec "$0" "$@"';

/**
 * The program and arguments that become a worker in the namespaces of `plan`, found in `path`. With a range of ids, it waits for a line on
 * `PARENT_FD`, which is to be written when they are mapped.
 */
export function workerCommand(plan: NamespacePlan, path: string | undefined): readonly [string, ...string[]] {
	const node = [process.execPath, '--no-warnings', ENTRY] as const;
	if (!plan.mounts) return node;
	// One id is mapped by unshare itself: where no_new_privs is set, an exec before the mapping would lose all capabilities for good.
	const user = { none: [], single: ['--user', '--map-root-user'], full: ['--user'] }[plan.kind];
	const wait = plan.kind === 'full' ? ['/bin/sh', '-c', WAIT] : [];
	const unshare = findProgram('unshare', path) ?? 'unshare';
	return [unshare, ...user, '--mount', '--pid', '--fork', '--kill-child', '--', ...wait, ...node];
}
