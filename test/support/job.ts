import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Finished, type Running, type RunOptions, startS2oci } from './build.js';
import { makeWorkspace, type Workspace } from './host.js';

/** Who a job runs as. */
export interface JobUser {
	readonly uid: number;
	readonly gid: number;
}

/** A job of a CI system: a container that runs an image, as a user who gets no namespaces. */
export interface Job {
	readonly workspace: Workspace;
	readonly user: JobUser;
	/** Host path of its root directory. */
	readonly root: string;
	readonly start: (args: readonly string[], options?: JobOptions) => Running;
	readonly run: (args: readonly string[], options?: JobOptions) => Promise<Finished>;
}

export interface JobOptions extends RunOptions {
	/** Shell lines that run as root, in the job's mount namespace, before it begins; `$ROOT` is its root directory, `$JOB` its user. */
	readonly setup?: string;
	/** Shell lines that run as root when all is mounted that the job sees. */
	readonly locked?: string;
	/** Shell lines that run in the job before s2oci, as its user. */
	readonly before?: string;
	/** The capabilities that root has; all when undefined. */
	readonly rights?: readonly string[];
	/** Directories of the host that are empty for the job. */
	readonly hidden?: readonly string[];
}

/** Any user of OpenShift: a uid that nobody knows, in group 0. */
export const JOB_USER = { name: 'job', uid: 100_001, gid: 0 } as const;
export const ROOT_USER = { name: 'root', uid: 0, gid: 0 } as const;

const PROGRAM = fileURLToPath(new URL('../..', import.meta.url));

/**
 * A job whose image is the one tagged `latest` in the OCI layout at `layout`; only root can make one. The runner brings Node and s2oci as
 * mounts, at the paths that they have here. In a changed root directory the kernel gives nobody a user namespace.
 */
export function openJob(layout: string, user: JobUser = JOB_USER): Job {
	const workspace = { ...makeWorkspace({ name: 'job', ...user }), user: undefined };
	const root = join(workspace.root, 'job');
	mkdirSync(root);
	execFileSync('umoci', ['raw', 'unpack', '--image', `${layout}:latest`, join(root, 'fs')], { stdio: 'ignore' });
	const fs = join(root, 'fs');
	chownSync(workspace.home, user.uid, user.gid);
	const start = (
		args: readonly string[],
		{ setup = '', locked = '', before, rights, hidden = [], ...options }: JobOptions = {},
	) => {
		const first =
			before === undefined
				? ''
				: `/bin/sh -c '${before}
"$0" "$@"' `;
		const kept = ['-all', ...(rights ?? []).map((name) => `+${name}`)].join();
		const become = `chroot --userspec=${user.uid}:${user.gid} "$ROOT"`;
		const enter =
			rights === undefined ? become : `setpriv --bounding-set=${kept} --inh-caps=-all --clear-groups chroot "$ROOT"`;
		const script = `set -e; ROOT=${fs}; JOB=${user.uid}:${user.gid}
bind() { mkdir -p "$ROOT$1"; mount --bind "$1" "$ROOT$1"; }
file() { mkdir -p "$ROOT$(dirname "$1")"; touch "$ROOT$1"; mount --bind "$(readlink -f "$1")" "$ROOT$1"; }
${setup}
for each in /proc /dev; do mkdir -p "$ROOT$each"; mount --rbind $each "$ROOT$each"; done
for each in ${brought(layout).join(' ')}; do bind "$each"; done
for each in home tmp; do bind "${workspace.root}/$each"; done
file ${process.execPath}
${hidden.map((path) => `mount -t tmpfs none "$ROOT${path}"`).join('\n')}
${locked}
cd /; exec ${enter} ${first}"$@"`;
		return startS2oci(workspace, args, {
			...options,
			cwd: '/',
			wrapper: ['unshare', '--mount', 'sh', '-c', script, 'sh'],
		});
	};
	return { workspace, user, root: fs, start, run: (args, options) => start(args, options).finished };
}

/** Directories of the host that the job sees: the program, its dependencies, the libraries of Node, and the image. */
function brought(layout: string): readonly string[] {
	const libraries = execFileSync('ldd', [process.execPath], { encoding: 'utf8' }).match(/\/\S+(?= \()/g) ?? [];
	const program = dirname(dirname(process.env['S2OCI_TEST_PROGRAM'] ?? join(PROGRAM, 'bin/s2oci.js')));
	const dependencies = realpathSync(join(program, 'node_modules'));
	return [...new Set([program, dependencies, layout, ...libraries.map(dirname)])];
}
