import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { findProgram } from '../program.js';
import type { NamespacePlan } from './user-namespace.js';

const ENTRY = fileURLToPath(new URL('./main.js', import.meta.url));
/** Waits for its ids to be mapped before it becomes Node, since only an exec as a mapped root gains capabilities. */
const WAIT = 'read -r _ <&4 || exit 1; exec "$0" "$@" 4<&-';
const HELP_LIMIT_MS = 2000;

/**
 * The program and arguments that become a worker in the namespaces of `plan`, found in `path`. With a range of ids, it waits for a line on
 * descriptor 4, which is to be written when they are mapped.
 */
export function workerCommand(plan: NamespacePlan, path: string | undefined): readonly [string, ...string[]] {
	const node = [process.execPath, '--no-warnings', ENTRY] as const;
	if (!plan.mounts) return node;
	// One id is mapped by unshare itself: where no_new_privs is set, an exec before the mapping would lose all capabilities for good.
	const user = { none: [], single: ['--user', '--map-root-user'], full: ['--user'] }[plan.kind];
	const wait = plan.kind === 'full' ? ['/bin/sh', '-c', WAIT] : [];
	const options = [...user, '--mount', '--pid', '--fork', '--kill-child', '--', ...wait, ...node];
	const [unshare, setpriv] = [findProgram('unshare', path), findProgram('setpriv', path)];
	if (unshare === undefined || setpriv === undefined || !hasDeathSignal(setpriv))
		return [unshare ?? 'unshare', ...options];
	// A worker that is busy does not see its channel close: the kernel ends unshare with us, and the worker with unshare.
	return [setpriv, '--pdeathsig', 'KILL', '--', unshare, ...options];
}

/** That of util-linux has it since 2.33, that of BusyBox does not. */
function hasDeathSignal(setpriv: string): boolean {
	const { stdout, stderr } = spawnSync(setpriv, ['--help'], { encoding: 'utf8', timeout: HELP_LIMIT_MS });
	return `${stdout}${stderr}`.includes('--pdeathsig');
}
