import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { PROGRAM } from './build.js';
import { removeTree } from './fs.js';
import type { Workspace } from './host.js';
import { podmanRun } from './podman.js';

const execute = promisify(execFile);
const PROJECT = join(import.meta.dirname, '../..');
const NODE = dirname(dirname(process.execPath));

/** Whom the jobs of an engine run as. */
export interface ContainerUser {
	readonly uid: number;
	readonly gid: number;
}

/** Root of a plain container, and a user whom nobody knows in one that may make user namespaces: each with the rung that it comes to. */
export const CONTAINER_USERS = [
	['root', { uid: 0, gid: 0 }, 'rung 5'],
	['a user whom nobody knows', { uid: 100_001, gid: 0 }, 'rung 3'],
] as const;

/** What a command printed. */
export interface Printed {
	readonly stdout: string;
	readonly stderr: string;
}

/** Runs a program and its arguments as a job would be run; fails, with what was printed, when it ends with another status than 0. */
export type RunInContainer = (
	words: readonly string[],
	options?: {
		readonly cwd?: string;
		readonly env?: Readonly<Record<string, string>>;
		/** Directories of the host, by where the container has them. */
		readonly volumes?: Readonly<Record<string, string>>;
	},
) => Promise<Printed>;

/**
 * Runs commands in containers with the programs of this machine, an s2oci in PATH, and the defaults of podman; a user who is not root may
 * make user namespaces. They share the directory of `workspace`, whose files are for everyone. `more` are options of podman.
 */
export function openContainer(
	{ root, home }: Workspace,
	{ uid, gid }: ContainerUser,
	more: readonly string[] = [],
): RunInContainer {
	const own = mkdtempSync(join(tmpdir(), 's2oci-podman-'));
	onTestFinished(() => removeTree(own));
	for (const path of [root, home]) chmodSync(path, 0o777);
	const bin = join(root, 'bin');
	mkdirSync(bin, { recursive: true });
	writeFileSync(join(bin, 's2oci'), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`, { mode: 0o755 });
	const allowed = uid === 0 ? [] : ['--security-opt', 'seccomp=unconfined', '--security-opt', 'unmask=ALL'];
	const [podman = '', ...begin] = podmanRun(own);
	return async (words, { cwd = root, env = {}, volumes = {} } = {}) => {
		const variables = { HOME: home, PATH: `${bin}:${process.env['PATH'] ?? ''}`, LC_ALL: 'C.UTF-8', ...env };
		const given = [
			...[...allowed, ...more, '--user', `${uid}:${gid}`, '--workdir', cwd],
			...[root, PROJECT, NODE].flatMap((path) => ['--volume', `${path}:${path}`]),
			...Object.entries(volumes).flatMap(([inside, path]) => ['--volume', `${path}:${inside}`]),
			...Object.entries(variables).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
		];
		try {
			return await execute(podman, [...begin, ...given, '--rootfs', '/:O', ...words], { maxBuffer: 2 ** 26 });
		} catch (error) {
			const { stdout, stderr } = error as Printed;
			throw new Error(`${words.join(' ')} failed:\n${stdout}\n${stderr}`, { cause: error });
		}
	};
}
