import {
	accessSync,
	chmodSync,
	chownSync,
	constants,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { onTestFinished, type TestContext } from 'vitest';
import { removeTree } from './fs.js';
import { needs } from './needs.js';

/** Who runs s2oci. The test users are made by scripts/test-users. */
export type UserName = 'root' | 's2oci-subuid' | 's2oci-plain';

export interface HostUser {
	readonly name: string;
	readonly uid: number;
	readonly gid: number;
}

/** Where one test keeps everything; `mark` is in the environment of every process that its builds start. */
export interface Workspace {
	readonly root: string;
	readonly home: string;
	readonly store: string;
	readonly temporary: string;
	readonly mark: string;
	/** Undefined for the user who runs the tests. */
	readonly user: HostUser | undefined;
}

/** A workspace that is removed after the test; it belongs to `user`. */
export function makeWorkspace(user?: HostUser): Workspace {
	const root = mkdtempSync(join(tmpdir(), 's2oci-e2e-'));
	chmodSync(root, 0o755);
	const mark = `/nonexistent/${basename(root)}`;
	onTestFinished(() => {
		for (const pid of processesOf(mark).filter(isPodmanPause)) process.kill(pid, 'SIGKILL');
		removeTree(root);
	});
	const [home, store, temporary] = ['home', 'store', 'tmp'].map((name) => join(root, name)) as [string, string, string];
	for (const path of [home, temporary]) mkdirSync(path);
	if (user !== undefined) for (const path of [root, home, temporary]) chownSync(path, user.uid, user.gid);
	return { root, home, store, temporary, mark, user };
}

/** The test user `name`; skips the test, saying why, where it does not exist or we may not become it. */
export function requireUser(context: TestContext, name: UserName): HostUser | undefined {
	needs(context, process.getuid?.() === 0, `only root can run s2oci as ${name}`);
	if (name === 'root') return undefined;
	const line = readLines('/etc/passwd').find((each) => each.startsWith(`${name}:`));
	needs(context, line !== undefined, `there is no user ${name}; scripts/test-users makes it`);
	const [, , uid, gid] = line.split(':').map(Number);
	return { name, uid: uid ?? 0, gid: gid ?? 0 };
}

/** Skips the test, saying why, unless the tests run as root. */
export function requireRoot(context: TestContext): void {
	needs(context, process.getuid?.() === 0, 'only root can arrange such a host');
}

/** Skips the test, saying why, unless all `programs` are installed. */
export function requirePrograms(context: TestContext, ...programs: readonly string[]): void {
	for (const program of programs) needs(context, findProgram(program) !== undefined, `${program} is not installed`);
}

/** The path of a program of the host, or undefined. */
export function findProgram(name: string): string | undefined {
	const folders = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`.split(':');
	return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/** Directories that podman makes for a user who is not root, and keeps. */
const PODMAN_DIRECTORY = /^(?:containers-user|podman-run|storage-run)-\d+$/;

/**
 * What builds left behind that should be gone: processes, mounts, scratch and temporary files. Waits up to `limitMs` for it to go. What
 * podman keeps for a user who is not root is left out.
 */
export async function leftovers(workspace: Workspace, limitMs = 2000): Promise<readonly string[]> {
	const deadline = Date.now() + limitMs;
	for (;;) {
		const left = [
			...processesOf(workspace.mark)
				.filter((pid) => !isPodmanPause(pid))
				.map((pid) => `process ${pid}: ${commandOf(pid)}`),
			...readLines('/proc/self/mountinfo').filter((line) => line.includes(workspace.root)),
			...listDirectory(join(workspace.store, 'work')).map((name) => `store/work/${name}`),
			...listDirectory(workspace.temporary)
				.filter((name) => !PODMAN_DIRECTORY.test(name))
				.map((name) => `tmp/${name}`),
		];
		if (left.length === 0 || Date.now() > deadline) return left;
		await delay(20);
	}
}

/** The processes whose environment or command line has `mark`. */
export function processesOf(mark: string): readonly number[] {
	return listDirectory('/proc')
		.filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
		.filter((pid) => ['environ', 'cmdline'].some((file) => read(`/proc/${pid}/${file}`).includes(mark)))
		.map(Number);
}

/** The command line of a process, for messages. */
export function commandOf(pid: number): string {
	return read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
}

/** Whether it is the process that holds the user namespace of a podman of a user who is not root, for the next one. */
function isPodmanPause(pid: number): boolean {
	return /^(?:podman pause|catatonit)\n$/.test(read(`/proc/${pid}/comm`));
}

/** Resolves once `isTrue`; fails, naming `what`, after `limitMs`. */
export async function until(what: string, isTrue: () => boolean, limitMs = 15_000): Promise<void> {
	const deadline = Date.now() + limitMs;
	while (!isTrue()) {
		if (Date.now() > deadline) throw new Error(`waited ${limitMs} ms in vain for ${what}`);
		await delay(10);
	}
}

/** The names in a directory; none when it does not exist. */
export function listDirectory(path: string): readonly string[] {
	try {
		return readdirSync(path).sort();
	} catch {
		return [];
	}
}

function readLines(path: string): readonly string[] {
	return read(path).split('\n');
}

function read(path: string): string {
	try {
		return readFileSync(path, 'utf8');
	} catch {
		return '';
	}
}

function isExecutable(path: string): boolean {
	try {
		accessSync(path, constants.X_OK);
		return true;
	} catch {
		return false;
	}
}
