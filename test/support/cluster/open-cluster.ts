import { execFile } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { s2oci } from '../build.js';
import { lacking } from '../fs.js';
import type { Workspace } from '../host.js';
import { skipFor } from '../needs.js';
import { ownImages } from '../own-image.js';
import { loginFor, openRealRegistry } from '../real-registry.js';
import { tinyLayout } from '../tiny.js';
import { emptyDirectory, type Node, openNode } from './container.js';

const execute = promisify(execFile);

/** An image as it is in the registry. */
export interface Pulled {
	readonly digest: string;
	readonly labels: Readonly<Record<string, string>>;
	readonly env: readonly string[];
	/** Of its config and its layers. */
	readonly size: number;
}

/** A node, and a registry that wants a login and has the tiny builder and the images of s2oci. */
export interface Cluster {
	readonly node: Node;
	readonly host: string;
	readonly builder: string;
	readonly jobImage: string;
	readonly volumeImage: string;
	/** The text of a config.json for the registry. */
	readonly login: string;
	/** Reads `name` back, every blob of it. */
	readonly pull: (name: string) => Promise<Pulled>;
	/** Pushes the tiny builder with a directory /etc/pki as `name`, with another digest for each `version`. */
	readonly publishBuilder: (name: string, version: string) => Promise<void>;
	readonly close: () => Promise<void>;
}

/** A cluster for the tests of a file, which are skipped where none can be had; it takes minutes when the images of s2oci are not there yet. */
export function withCluster(): () => Cluster {
	const reason =
		process.getuid?.() === 0 ? lacking('podman', 'runc', 'skopeo', 'git') : 'only root can arrange such a host';
	let cluster: Cluster | undefined;
	beforeAll(async () => {
		if (reason === undefined) cluster = await openCluster();
	});
	afterAll(() => cluster?.close());
	beforeEach((context) => skipFor(context, reason));
	return () => {
		if (cluster === undefined) throw new Error('there is no cluster yet');
		return cluster;
	};
}

async function openCluster(): Promise<Cluster> {
	const registry = await openRealRegistry({ login: true });
	const { host } = registry;
	const login = loginFor(host);
	const images = ownImages();
	const [builder, jobImage, volumeImage] = [
		`${host}/builders/tiny:1`,
		`${host}/ci/s2oci:1`,
		`${host}/ci/s2oci-volume:1`,
	];
	const node = openNode(login);
	const { authFile } = node;
	const copy = (from: string, to: string) =>
		execute('skopeo', [
			'copy',
			'--quiet',
			'--authfile',
			authFile,
			'--dest-tls-verify=false',
			'--src-tls-verify=false',
			from,
			to,
		]);
	await copy(`oci:${tinyLayout()}:latest`, `docker://${builder}`);
	await copy(`oci:${images.job}:1`, `docker://${jobImage}`);
	await copy(`oci:${images.volume}:1`, `docker://${volumeImage}`);
	const inspect = async (name: string, ...options: readonly string[]) =>
		(
			await execute('skopeo', [
				'inspect',
				'--no-tags',
				'--authfile',
				authFile,
				'--tls-verify=false',
				...options,
				`docker://${name}`,
			])
		).stdout;
	const pull = async (name: string): Promise<Pulled> => {
		await copy(`docker://${name}`, `oci:${join(node.directory, 'pulled')}:1`);
		const { Digest, Labels, Env } = JSON.parse(await inspect(name)) as Inspected;
		const { config, layers } = JSON.parse(await inspect(name, '--raw')) as Sizes;
		const size = [config, ...layers].reduce((sum, blob) => sum + blob.size, 0);
		return { digest: Digest, labels: Labels, env: Env, size };
	};
	const publishBuilder = async (name: string, version: string) => {
		const layout = join(node.directory, `builder-${version}`);
		cpSync(tinyLayout(), layout, { recursive: true });
		await execute('umoci', ['insert', '--image', `${layout}:latest`, emptyDirectory(node.directory), '/etc/pki']);
		await execute('umoci', ['config', '--image', `${layout}:latest`, '--author', version]);
		await copy(`oci:${layout}:latest`, `docker://${name}`);
	};
	const close = async () => {
		node.close();
		await registry.close();
	};
	return { node, host, builder, jobImage, volumeImage, login, pull, publishBuilder, close };
}

interface Inspected {
	readonly Digest: string;
	readonly Labels: Readonly<Record<string, string>>;
	readonly Env: readonly string[];
}

interface Sizes {
	readonly config: { readonly size: number };
	readonly layers: readonly { readonly size: number }[];
}

/** A value that would do harm if a shell read it. */
export const HOSTILE = `"$(touch /store/evil)'; exit 9; #`;

/** A BuildConfig that builds a git repository with the tiny builder of `cluster`. */
export function buildConfigOf(
	{ host, builder }: Cluster,
	{ url, contextDir, target }: { readonly url: string; readonly contextDir: string; readonly target: string },
): object {
	return {
		apiVersion: 'build.openshift.io/v1',
		kind: 'BuildConfig',
		metadata: { name: 'app' },
		spec: {
			source: { git: { uri: url, ref: 'main' }, contextDir },
			strategy: {
				sourceStrategy: {
					from: { kind: 'DockerImage', name: builder },
					env: [{ name: 'TINY_ODD', value: HOSTILE }],
					forcePull: true,
				},
			},
			output: {
				to: { kind: 'DockerImage', name: `${host}/${target}` },
				imageLabels: [{ name: 'team', value: 'shop' }],
			},
		},
	};
}

/** What `s2oci fleet plan` prints of `image`, which is in the cluster's registry. */
export async function planFleet(
	{ node }: Cluster,
	workspace: Workspace,
	image: string,
	...words: readonly string[]
): Promise<string> {
	const env = { REGISTRY_AUTH_FILE: node.authFile };
	const { status, stdout, stderr } = await s2oci(workspace, ['fleet', 'plan', image, ...words], { env });
	if (status !== 0) throw new Error(stderr);
	return stdout;
}
