import { readdirSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { attempt, unlessErrno } from '../errors.js';
import { fileText, namesIn } from '../file-text.js';
import { type InodeName, inodeName } from '../inode-name.js';

/** A process of this host, as proc_pid_stat(5) shows it. */
export interface ProcessEntry {
	readonly pid: number;
	readonly parent: number;
	/** Process group. */
	readonly group: number;
	readonly session: number;
	/** False for a zombie that can do nothing any more. */
	readonly runs: boolean;
}

const KILL_TIME_MS = 5000;
const KILL_PAUSE_MS = 10;
/** What reading of a process comes to that has ended, or that is hidden (proc(5), hidepid). */
const GONE: readonly string[] = ['ENOENT', 'ESRCH', 'EACCES', 'EPERM', 'EINVAL'];
const READ_AT_ONCE = 500;

/** Every process that /proc shows; one that ends meanwhile may be missing. Others get their turn while there are very many. */
export async function listProcesses(): Promise<readonly ProcessEntry[]> {
	const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
	const found: ProcessEntry[] = [];
	for (const [index, pid] of pids.entries()) {
		if (index % READ_AT_ONCE === READ_AT_ONCE - 1) await turn();
		const entry = readProcess(Number(pid));
		if (entry !== undefined) found.push(entry);
	}
	return found;
}

/**
 * Kills what `find` finds among all processes, and the process groups that it makes up, again and again, until all of it is dead. Resolves
 * after 5 s and one listing at the latest, with the processes that still run: those of others, whom this user may not end, and those that
 * make new ones faster. One that forks and ends all the time is never seen, only the dead that it leaves: all are dead when twice in a row
 * the same are. `find` must find all of a group but our own, or nothing of it.
 */
export async function killAll(
	find: (processes: readonly ProcessEntry[]) => readonly ProcessEntry[],
): Promise<readonly number[]> {
	const end = Date.now() + KILL_TIME_MS;
	let before: string | undefined;
	for (;;) {
		const all = await listProcesses();
		const found = find(all);
		const running = found.filter(({ runs }) => runs);
		const now = found.map(({ pid }) => pid).join();
		const isOver = running.length === 0 && (now === before || now === '');
		if (isOver) return [];
		killFound(found, all.find(({ pid }) => pid === process.pid)?.group);
		if (Date.now() > end) return (running.length > 0 ? running : found).map(({ pid }) => pid);
		if (running.length > 0) await delay(KILL_PAUSE_MS);
		before = now;
	}
}

/**
 * Also what seems dead: a thread that executes a program while we look turns a process without a first thread into an ordinary one. A
 * signal to a group reaches whatever is being forked in it, which a list of processes never would.
 */
function killFound(found: readonly ProcessEntry[], ownGroup: number | undefined): void {
	const groups = new Set(found.map(({ group }) => group));
	for (const group of groups) if (group > 1 && group !== ownGroup && ownGroup !== undefined) kill(-group);
	for (const { pid } of found) kill(pid);
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
	unlessErrno(['ESRCH', 'EPERM'], () => process.kill(pid, 'SIGKILL'));
}

/** State, parent, process group and session stand behind the name, which may hold anything. Throws what is no sign of its end. */
function readProcess(pid: number): ProcessEntry | undefined {
	return unlessErrno(GONE, () => {
		const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
		const [state, parent, group, session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ', 4);
		const isZombie = state === 'Z' || state === 'X';
		const runs = !isZombie || hasThreads(pid);
		return { pid, parent: Number(parent), group: Number(group), session: Number(session), runs };
	});
}

/** A process whose first thread has called pthread_exit(3) is a zombie in its stat, while its other threads run. */
function hasThreads(pid: number): boolean {
	return readdirSync(`/proc/${pid}/task`).length > 1;
}

const ACCESS_MODE = 0o3;

/**
 * The regular files that processes have open for writing, as far as this user may look at these processes (proc_pid_fd(5)); none where
 * there is no /proc. What ends or is closed meanwhile may be missing.
 */
export function filesOpenForWriting(): ReadonlySet<InodeName> {
	const found = new Set<InodeName>();
	for (const pid of namesIn('/proc').filter((name) => /^\d+$/.test(name))) {
		for (const fd of namesIn(`/proc/${pid}/fd`)) {
			const inode = isWritten(pid, fd) ? inodeOf(`/proc/${pid}/fd/${fd}`) : undefined;
			if (inode !== undefined) found.add(inode);
		}
	}
	return found;
}

/** proc_pid_fdinfo(5): the flags of open(2), octal. */
function isWritten(pid: string, fd: string): boolean {
	const flags = /^flags:\s*([0-7]+)$/m.exec(fileText(`/proc/${pid}/fdinfo/${fd}`))?.[1];
	return flags !== undefined && (Number.parseInt(flags, 8) & ACCESS_MODE) !== 0;
}

function inodeOf(path: string): InodeName | undefined {
	const stats = attempt(() => statSync(path, { bigint: true }));
	return stats?.isFile() === true ? inodeName(stats) : undefined;
}
