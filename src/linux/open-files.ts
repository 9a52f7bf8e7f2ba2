import { readdirSync, readFileSync, statSync } from 'node:fs';

const ACCESS_MODE = 0o3;

/** Names an inode: `DEVICE:NUMBER`, as stat(2) gives them. */
export type InodeName = `${bigint}:${bigint}`;

/**
 * The regular files that processes have open for writing, as far as this user may look at these processes (proc_pid_fd(5)); none where
 * there is no /proc. What ends or is closed meanwhile may be missing.
 */
export function filesOpenForWriting(): ReadonlySet<InodeName> {
	const found = new Set<InodeName>();
	for (const pid of list('/proc').filter((name) => /^\d+$/.test(name))) {
		for (const fd of list(`/proc/${pid}/fd`)) {
			const inode = isWritten(pid, fd) ? inodeOf(`/proc/${pid}/fd/${fd}`) : undefined;
			if (inode !== undefined) found.add(inode);
		}
	}
	return found;
}

/** proc_pid_fdinfo(5): the flags of open(2), octal. */
function isWritten(pid: string, fd: string): boolean {
	const flags = /^flags:\s*([0-7]+)$/m.exec(read(`/proc/${pid}/fdinfo/${fd}`))?.[1];
	return flags !== undefined && (Number.parseInt(flags, 8) & ACCESS_MODE) !== 0;
}

function inodeOf(path: string): InodeName | undefined {
	try {
		const stats = statSync(path, { bigint: true });
		return stats.isFile() ? `${stats.dev}:${stats.ino}` : undefined;
	} catch {
		return undefined;
	}
}

function list(directory: string): readonly string[] {
	try {
		return readdirSync(directory);
	} catch {
		return [];
	}
}

function read(path: string): string {
	try {
		return readFileSync(path, 'utf8');
	} catch {
		return '';
	}
}
