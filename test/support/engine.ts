import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished, type TestContext } from 'vitest';
import { type Finished, type RunOptions, s2oci } from './build.js';
import { removeTree } from './fs.js';
import { requirePrograms, type Workspace } from './host.js';
import { tinyLayout } from './tiny.js';

/** What podman prints of an image. */
export interface StoredConfig {
	readonly Id: string;
	readonly Digest: string;
	readonly Config: {
		readonly User?: string;
		readonly Cmd?: readonly string[];
		readonly Env?: readonly string[];
		readonly Labels?: Readonly<Record<string, string>>;
		readonly WorkingDir?: string;
	};
	readonly RootFS: { readonly Layers: readonly string[] };
}

/** podman with a store of its own, as the user of a workspace; nothing of the host's own store is touched. */
export interface Podman {
	/** Makes every podman below use the store. */
	readonly env: Readonly<Record<string, string>>;
	/** What the command prints; throws, with all it printed, when it fails. */
	readonly run: (...args: readonly string[]) => string;
	readonly inspect: (name: string) => StoredConfig;
	/** Runs `s2i`, a link to s2oci; throws, with all it printed, unless it ends with 0. */
	readonly s2i: (args: readonly string[], options?: RunOptions) => Promise<Finished>;
}

/** Without cgroups, networks and limits that a machine for tests may not have. */
const CONTAINERS = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "host"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
`;

/** A podman whose store holds the tiny builder as `local-builder`; its store is removed after the test. Skips the test without podman. */
export function makePodman(context: TestContext, workspace: Workspace): Podman {
	requirePrograms(context, 'podman', 'runc');
	const { root, home, user } = workspace;
	const at = (name: string) => join(root, name);
	for (const name of ['images', 'run']) {
		mkdirSync(at(name), { mode: 0o711 });
		if (user !== undefined) chownSync(at(name), user.uid, user.gid);
	}
	onTestFinished(() => removeTree(at('images')));
	const store = `graphroot = "${at('images')}"\nrootless_storage_path = "${at('images')}"\nrunroot = "${at('run')}"`;
	writeFileSync(at('storage.conf'), `[storage]\ndriver = "vfs"\n${store}\n`);
	writeFileSync(at('containers.conf'), CONTAINERS);
	const env = {
		CONTAINERS_STORAGE_CONF: at('storage.conf'),
		CONTAINERS_CONF: at('containers.conf'),
		XDG_RUNTIME_DIR: at('run'),
		S2OCI_ENGINE: 'podman',
	};
	const run = (...args: readonly string[]) => asUser(workspace, ['podman', ...args], { ...env, HOME: home });
	const link = at('s2i');
	symlinkSync(fileURLToPath(new URL('../../bin/s2oci.js', import.meta.url)), link);
	execFileSync('tar', ['-C', tinyLayout(), '-cf', at('builder.tar'), '.']);
	run('load', '-q', '-i', at('builder.tar'));
	run('tag', run('images', '-q').split('\n')[0] ?? '', 'local-builder');
	return {
		env,
		run,
		inspect: (name) => {
			const [image] = JSON.parse(run('image', 'inspect', name)) as readonly StoredConfig[];
			if (image === undefined) throw new Error(`podman says nothing of ${name}`);
			return image;
		},
		s2i: async (args, options = {}) => {
			const named = { ...options, env: { ...env, ...options.env, S2OCI_NAME: 's2i' } };
			const finished = await s2oci(workspace, args, named);
			if (finished.status !== 0) throw new Error(`s2i ended with ${String(finished.status)}: ${finished.stderr}`);
			return finished;
		},
	};
}

/** Programs `files`, shell scripts by name, in a directory that stands first in the PATH that is returned. */
export function fakePrograms(workspace: Workspace, files: Readonly<Record<string, string>>): string {
	const directory = join(workspace.root, 'programs');
	mkdirSync(directory);
	for (const [name, script] of Object.entries(files)) {
		writeFileSync(join(directory, name), `#!/bin/sh\n${script}\n`);
		chmodSync(join(directory, name), 0o755);
	}
	return `${directory}:${process.env['PATH'] ?? ''}`;
}

function asUser({ user, root }: Workspace, words: readonly string[], env: Readonly<Record<string, string>>): string {
	const become =
		user === undefined ? [] : ['setpriv', '--reuid', String(user.uid), '--regid', String(user.gid), '--init-groups'];
	const [program = '', ...args] = [...become, ...words];
	return execFileSync(program, args, {
		cwd: root,
		encoding: 'utf8',
		env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, ...env },
		stdio: ['ignore', 'pipe', 'pipe'],
	}).trim();
}
