import { createHash } from 'node:crypto';
import { lstatSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { attempt } from '../errors.js';
import { fileText, namesIn } from '../file-text.js';
import { makePath } from '../make-path.js';
import { findMount, parseMounts } from '../mountinfo.js';
import { findProgram } from '../program.js';
import { SANDBOXES, type SandboxName, type SandboxPlace } from '../sandbox/sandboxes.js';
import { VERSION } from '../version.js';

/** What a store knows of the sandboxes of the hosts that used it. */
export interface KnownSandbox {
	/** Whether a program ran in the best sandbox of this place, when all was as it is now. */
	readonly isKnown: () => boolean;
	/** Remembers that one ran. What cannot be written is found out again. */
	readonly remember: () => void;
	/** It was refused after all. */
	readonly forget: () => void;
}

const DIRECTORY = 'sandboxes';
/** Each takes one inode; a host that starts anew, or another container, makes another one. */
const MAX_RECORDS = 200;
/** Of the process: who it is, and what the kernel lets it do. */
const OF_PROCESS = /^(?:Uid|Gid|Groups|NoNewPrivs|Seccomp\w*|Cap\w+):.*$/gm;
const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'];
const OF_KERNEL = [
	...['random/boot_id', 'unprivileged_userns_clone', 'apparmor_restrict_unprivileged_userns'].map(
		(name) => `kernel/${name}`,
	),
	...['user', 'mnt', 'pid', 'ipc', 'uts', 'net', 'cgroup'].map((name) => `user/max_${name}_namespaces`),
];
/** What starts a sandbox beside its own program. */
const STARTERS = ['unshare', 'newuidmap', 'newgidmap', 'setpriv', 'prlimit'];

/**
 * What `store` knows of `order` in `place`, with programs found in `path`. The store must be this user's own. What cannot be read or written
 * is not known; nothing fails for that.
 */
export function openKnownSandbox(
	store: string,
	order: readonly SandboxName[],
	place: SandboxPlace,
	path: string | undefined,
): KnownSandbox {
	const directory = join(store, DIRECTORY);
	let name: string | undefined;
	const record = (): string => {
		name ??= createHash('sha256')
			.update(describeHost(store, order, place, path))
			.digest('hex');
		return join(directory, name);
	};
	return {
		isKnown: () => {
			const found = attempt(() => lstatSync(record()));
			return found?.isFile() === true && found.uid === process.geteuid?.();
		},
		remember: () => {
			attempt(() => {
				if (namesIn(directory).length >= MAX_RECORDS) rmSync(directory, { recursive: true, force: true });
				makePath(directory, 0o700);
				writeFileSync(record(), '', { mode: 0o600 });
			});
		},
		forget: () => attempt(() => rmSync(record(), { force: true })),
	};
}

/** All that decides whether a sandbox can be started, as far as it can be read in a moment. */
function describeHost(
	store: string,
	order: readonly SandboxName[],
	{ userNamespace, rootfs, mounts, proc }: SandboxPlace,
	path: string | undefined,
): string {
	const programs = order.flatMap((name) => SANDBOXES[name].program ?? []);
	const table = parseMounts(fileText('/proc/self/mountinfo'));
	const below = table.filter((mount) => /^\/(?:$|proc|sys)/.test(mount.path));
	return JSON.stringify([
		...[VERSION, process.version, order, userNamespace, rootfs, mounts, proc],
		fileText('/proc/self/status').match(OF_PROCESS),
		...['limits', 'attr/current'].map((name) => fileText(`/proc/self/${name}`)),
		...OF_KERNEL.map((name) => fileText(`/proc/sys/${name}`)),
		NAMESPACES.map((name) => attempt(() => readlinkSync(`/proc/self/ns/${name}`)) ?? ''),
		[...programs, ...STARTERS].map((name) => describeProgram(name, path)),
		[...below, findMount(table, store)],
	]);
}

function describeProgram(name: string, path: string | undefined): unknown {
	const found = findProgram(name, path);
	const stats = found === undefined ? undefined : attempt(() => statSync(found));
	return [found, stats?.dev, stats?.ino, stats?.size, stats?.mtimeMs, stats?.ctimeMs];
}
