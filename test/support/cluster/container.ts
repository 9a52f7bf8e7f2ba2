import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { removeTree } from '../fs.js';
import { podmanRun } from '../podman.js';

const execute = promisify(execFile);

/** As a container or a pod has it. */
export interface SecurityContext {
	readonly runAsUser?: number;
	readonly runAsGroup?: number;
	readonly runAsNonRoot?: boolean;
	readonly allowPrivilegeEscalation?: boolean;
	readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
	readonly seccompProfile?: { readonly type: string };
}

export interface EnvironmentEntry {
	readonly name: string;
	readonly value?: string;
}

/** A directory of this machine, and where a container sees it. */
export interface Mount {
	readonly source: string;
	readonly path: string;
	readonly readOnly?: boolean;
}

export interface Container {
	readonly image: string;
	/** In place of the entry point of the image. */
	readonly command?: readonly string[] | undefined;
	readonly args?: readonly string[] | undefined;
	readonly env?: readonly EnvironmentEntry[] | undefined;
	readonly workingDir?: string | undefined;
	readonly security: SecurityContext;
	readonly mounts: readonly Mount[];
}

/** How a container ended. */
export interface Exited {
	readonly status: number;
	readonly stdout: string;
	readonly stderr: string;
}

/** What runs containers, as a node of a cluster that has neither seccomp profiles nor AppArmor for those that ask for none. */
export interface Node {
	/** Where what belongs to it and to its containers lies. */
	readonly directory: string;
	/** With what it pulls images. */
	readonly authFile: string;
	/** Throws for a container that the kubelet refuses. */
	readonly run: (container: Container) => Promise<Exited>;
	readonly close: () => void;
}

/** A node that pulls images with the credentials of `login`, the text of a config.json. */
export function openNode(login: string): Node {
	const directory = mkdtempSync(join(tmpdir(), 's2oci-node-'));
	chmodSync(directory, 0o755);
	const authFile = join(directory, 'auth.json');
	writeFileSync(authFile, login);
	const run = async (container: Container): Promise<Exited> => {
		await refuseRoot(container, authFile);
		const [podman = '', ...words] = podmanRun(directory);
		const pull = ['--authfile', authFile, '--tls-verify=false'];
		const ended = execute(podman, [...words, ...pull, ...optionsOf(container)], { maxBuffer: 2 ** 26 });
		return ended.then(
			({ stdout, stderr }) => ({ status: 0, stdout, stderr }),
			(error: unknown) => {
				const { code, stdout, stderr } = error as Exited & { readonly code: number };
				return { status: code, stdout, stderr };
			},
		);
	};
	return { directory, authFile, run, close: () => removeTree(directory) };
}

/** An empty directory that everyone may use, as an emptyDir is. */
export function emptyDirectory(parent: string): string {
	mkdirSync(parent, { recursive: true });
	const path = mkdtempSync(join(parent, 'v-'));
	chmodSync(path, 0o777);
	return path;
}

async function refuseRoot({ image, security }: Container, authFile: string): Promise<void> {
	if (security.runAsNonRoot !== true) return;
	const inspect = ['inspect', '--config', '--authfile', authFile, '--tls-verify=false', `docker://${image}`];
	const config = JSON.parse((await execute('skopeo', inspect)).stdout) as {
		readonly config?: { readonly User?: string };
	};
	const user = security.runAsUser?.toString() ?? config.config?.User?.split(':')[0] ?? '';
	if (!/^[1-9]\d*$/.test(user)) throw new Error(`container has runAsNonRoot and image will run as ${user || 'root'}`);
}

function optionsOf({
	image,
	command,
	args = [],
	env = [],
	workingDir,
	security,
	mounts,
}: Container): readonly string[] {
	const [entrypoint, ...first] = command ?? [];
	return [
		...userOf(security),
		...rightsOf(security),
		...mounts.flatMap(({ source, path, readOnly }) => [
			'--volume',
			`${source}:${path}${readOnly === true ? ':ro' : ''}`,
		]),
		...env.flatMap(({ name, value = '' }) => ['--env', `${name}=${value}`]),
		...(workingDir ? ['--workdir', workingDir] : []),
		...(entrypoint === undefined ? [] : ['--entrypoint', JSON.stringify([entrypoint])]),
		image,
		...first,
		...args,
	];
}

function userOf({ runAsUser, runAsGroup }: SecurityContext): readonly string[] {
	if (runAsUser === undefined) return [];
	return ['--user', runAsGroup === undefined ? String(runAsUser) : `${runAsUser}:${runAsGroup}`];
}

function rightsOf({ allowPrivilegeEscalation, capabilities = {}, seccompProfile }: SecurityContext): readonly string[] {
	return [
		...(seccompProfile?.type === 'RuntimeDefault' ? [] : ['--security-opt', 'seccomp=unconfined']),
		...(allowPrivilegeEscalation === false ? ['--security-opt', 'no-new-privileges'] : []),
		...(capabilities.drop ?? []).flatMap((name) => ['--cap-drop', name]),
		...(capabilities.add ?? []).flatMap((name) => ['--cap-add', name]),
	];
}
