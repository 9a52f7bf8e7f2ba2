import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoOf } from '../errors.js';

/** A process of this host, as proc_pid_stat(5) shows it. */
export interface ProcessEntry {
	readonly pid: number;
	readonly parent: number;
	readonly session: number;
	/** False for a zombie that can do nothing any more. */
	readonly runs: boolean;
}

const KILL_TIME_MS = 5000;
const KILL_PAUSE_MS = 10;

/** Every process that /proc shows; one that ends meanwhile may be missing. */
export function listProcesses(): readonly ProcessEntry[] {
	return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? readProcess(Number(name)) : []));
}

/**
 * Kills what `find` finds among all processes, again and again, until all of it is dead. Resolves after 5 s at the latest, with the
 * processes that still run: those of others, whom this user may not end, and those that make new ones faster. One that forks and ends all
 * the time is never seen, only the dead that it leaves: all are dead when twice in a row the same are.
 */
export async function killAll(
	find: (processes: readonly ProcessEntry[]) => readonly ProcessEntry[],
): Promise<readonly number[]> {
	const end = Date.now() + KILL_TIME_MS;
	let before: string | undefined;
	for (;;) {
		const found = find(listProcesses());
		const running = found.filter(({ runs }) => runs);
		const now = found.map(({ pid }) => pid).join();
		const isOver = running.length === 0 && (now === before || now === '');
		if (isOver) return [];
		if (Date.now() > end) return (running.length > 0 ? running : found).map(({ pid }) => pid);
		for (const { pid } of running) kill(pid);
		if (running.length > 0) await delay(KILL_PAUSE_MS);
		before = now;
	}
}

/** Those of `processes` that descend from the process `ancestor`. */
export function descendantsOf(ancestor: number, processes: readonly ProcessEntry[]): readonly ProcessEntry[] {
	const parents = new Map(processes.map(({ pid, parent }) => [pid, parent]));
	const isOurs = (pid: number): boolean => {
		for (let up = parents.get(pid); up !== undefined; up = parents.get(up)) if (up === ancestor) return true;
		return false;
	};
	return processes.filter(({ pid }) => isOurs(pid));
}

function kill(pid: number): void {
	try {
		process.kill(pid, 'SIGKILL');
	} catch (error) {
		if (!['ESRCH', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
	}
}

/** State, parent, process group and session stand behind the name, which may hold anything. */
function readProcess(pid: number): readonly ProcessEntry[] {
	try {
		const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
		const [state, parent, , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ', 4);
		return [{ pid, parent: Number(parent), session: Number(session), runs: !isZombie(state) || hasThreads(pid) }];
	} catch {
		return [];
	}
}

function isZombie(state: string | undefined): boolean {
	return state === 'Z' || state === 'X';
}

/** A process whose first thread has called pthread_exit(3) is a zombie in its stat, while its other threads run. */
function hasThreads(pid: number): boolean {
	return readdirSync(`/proc/${pid}/task`).length > 1;
}
