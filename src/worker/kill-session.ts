import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const ROUNDS = 100;
const PAUSE_MS = 10;

/**
 * Kills every process of the session `session` until nothing is left of it that can run. For what a worker without a pid namespace left
 * when it was killed itself: its children belong to nobody then, but their session stays.
 */
export async function killSession(session: number): Promise<void> {
	for (let round = 0; round < ROUNDS; round++) {
		const found = membersOf(session);
		if (found.length === 0) return;
		for (const pid of found) kill(pid);
		await delay(PAUSE_MS);
	}
}

function kill(pid: number): void {
	try {
		process.kill(pid, 'SIGKILL');
	} catch {
		// It ended by itself, or became another user's, whom we may not end.
	}
}

/** Zombies are left out: they do nothing, and their parent ends them. */
function membersOf(session: number): readonly number[] {
	return readdirSync('/proc')
		.filter((name) => /^\d+$/.test(name))
		.map(Number)
		.filter((pid) => {
			const [state, , , its] = readStat(pid);
			return its === String(session) && state !== 'Z';
		});
}

/** State, parent, process group and session (proc_pid_stat(5)); the name before them may hold anything. */
function readStat(pid: number): readonly string[] {
	try {
		const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
		return stat.slice(stat.lastIndexOf(')') + 2).split(' ', 4);
	} catch {
		return [];
	}
}
