import { statSync } from 'node:fs';
import { attempt } from '../errors.js';
import { fileText, namesIn } from '../file-text.js';
import { type InodeName, inodeName } from '../inode-name.js';

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
