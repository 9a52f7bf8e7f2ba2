import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { openLayout } from '../../src/content/layout.js';
import { digestOf } from '../../src/oci/digest.js';
import type { Index } from '../../src/oci/image.js';
import { DOCKER_INDEX, OCI_INDEX } from '../../src/oci/media-types.js';
import { build, type Finished, s2oci } from '../support/build.js';
import type { ConfigJson } from '../support/built.js';
import { makeWorkspace, requirePrograms, type Workspace } from '../support/host.js';
import { jsonBytes, testImage, writeImage } from '../support/images.js';
import type { TestRegistry } from '../support/registry.js';
import {
	type BuilderParts,
	emptyRegistry,
	encodeImage,
	publish,
	TINY_APP,
	tinyLayout,
	tinyParts,
	withTinyBuilder,
} from '../support/tiny.js';

withTinyBuilder();

const ARM64 = { os: 'linux', architecture: 'arm64' };

/** A registry that is not ours. */
function realRegistry(workspace: Workspace): string {
	const program = fileURLToPath(new URL('../../scripts/registry', import.meta.url));
	const directory = join(workspace.root, 'registry');
	const host = execFileSync(program, ['start', '--dir', directory], { encoding: 'utf8' }).trim();
	onTestFinished(() => void execFileSync(program, ['stop', '--dir', directory]));
	return host;
}

/** The tiny builder with a config that says arm64, in a layout; what is in it runs here all the same. */
async function armLayout(workspace: Workspace): Promise<string> {
	const { tars, config } = tinyParts();
	const path = join(workspace.root, 'arm64');
	const image = testImage({ layers: tars, config: { ...config, ...ARM64 } });
	await writeImage(image, openLayout(path), 'latest', AbortSignal.timeout(30_000));
	return `oci:${path}:latest`;
}

function run(program: string, ...args: readonly string[]): string {
	return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function digestIn({ stdout }: Finished): string {
	return stdout.trim().split('@')[1] ?? '';
}

test('what is built for two platforms and pushed by digest is one image for skopeo, podman and s2oci', async (context) => {
	requirePrograms(context, 'skopeo', 'podman');
	const workspace = makeWorkspace();
	const [host, arm] = [realRegistry(workspace), await armLayout(workspace)];
	const app = `${host}/team/app`;
	const byDigest = [app, '--copy', '--push-by-digest'];
	const first = await build(workspace, [TINY_APP, `oci:${tinyLayout()}:latest`, ...byDigest]);
	const second = await build(workspace, [TINY_APP, arm, '--platform', 'linux/arm64', ...byDigest]);
	expect(first.stdout).toBe(`${app}@${String(first.result.digest)}\n`);
	expect(first.stderr).toContain(`try it: s2oci run ${app}@sha256:`);
	expect((await fetch(`http://${host}/v2/team/app/tags/list`)).status).toBe(404);

	const members = [digestIn(second), second.stdout.trim().replace(digestIn(second), digestIn(first))];
	const args = ['index', 'create', `${app}:1`, ...members, '--annotation', 'org.example.a=b'];
	const made = await s2oci(workspace, args);
	expect(made.status, made.stderr).toBe(0);
	const raw = run('skopeo', 'inspect', '--raw', '--tls-verify=false', `docker://${app}:1`);
	expect(made.stdout).toBe(`${app}:1@${digestOf(Buffer.from(raw))}\n`);
	expect(JSON.parse(raw)).toMatchObject({
		mediaType: OCI_INDEX,
		manifests: [
			{ digest: digestIn(second), platform: { architecture: 'arm64', os: 'linux' } },
			{ digest: digestIn(first), platform: { architecture: 'amd64', os: 'linux' } },
		],
		annotations: { 'org.example.a': 'b' },
	});
	for (const architecture of ['amd64', 'arm64']) {
		const choice = ['--tls-verify=false', '--override-arch', architecture, `docker://${app}:1`];
		expect(JSON.parse(run('skopeo', 'inspect', ...choice))).toMatchObject({ Architecture: architecture });
	}
	run('skopeo', 'copy', '-q', '--all', '--src-tls-verify=false', `docker://${app}:1`, `oci:${workspace.root}/all:1`);
	const podman = [
		'--root',
		`${workspace.root}/podman`,
		'--runroot',
		`${workspace.root}/run`,
		'--storage-driver',
		'vfs',
	];
	run('podman', ...podman, 'pull', '-q', '--tls-verify=false', '--platform', 'linux/arm64', `${app}:1`);
	const pulled = run('podman', ...podman, 'image', 'inspect', '--format', '{{.Architecture}} {{.Digest}}', `${app}:1`);
	expect(pulled).toMatch(/^arm64 sha256:/);
	expect((await s2oci(workspace, args)).stdout).toBe(made.stdout);

	run('skopeo', 'copy', '-q', '--dest-tls-verify=false', arm, `docker://${host}/builders/arm:1`);
	run('skopeo', 'copy', '-q', '--dest-tls-verify=false', `oci:${tinyLayout()}:latest`, `docker://${host}/tiny:1`);
	const builder = `${host}/builders/multi`;
	const joined = await s2oci(workspace, ['index', 'create', builder, `${host}/builders/arm:1`, `${host}/tiny:1`]);
	expect(joined.status, joined.stderr).toBe(0);
	const again = await build(workspace, [TINY_APP, builder, `${host}/x:2`, '--copy', '--platform', 'linux/arm64']);
	const config = ['--tls-verify=false', '--config', '--override-arch', 'arm64', `docker://${host}/x:2`];
	expect(JSON.parse(run('skopeo', 'inspect', ...config))).toMatchObject(ARM64);
	expect(again.result.layer?.digest).toBe(second.result.layer?.digest);
});

const gzip = (parts: Partial<ConfigJson & Record<string, unknown>>, family: 'oci' | 'docker' = 'oci') => {
	const config = { os: 'linux', architecture: 'amd64', config: {}, ...parts } as BuilderParts['config'];
	const type =
		family === 'oci' ? 'application/vnd.oci.image.layer.v1.tar' : 'application/vnd.docker.image.rootfs.diff.tar';
	return encodeImage({ tars: [Buffer.from('x')], config }, (bytes) => ({ mediaType: type, bytes }), family);
};

/** A registry with an amd64 image, `team/app:amd64`, and an arm64 one in `other`. */
async function twoImages(family: 'oci' | 'docker' = 'oci'): Promise<TestRegistry> {
	const registry = await emptyRegistry({ mount: 'accept' });
	publish(registry, gzip({}, family), 'team/app', 'amd64');
	publish(registry, gzip(ARM64, family), 'other', 'arm64');
	return registry;
}

test('a member of another repository is mounted, and nothing but manifests and configs is pulled', async () => {
	const registry = await twoImages('docker');
	const { host, manifests, blobs, requests } = registry;
	const app = `${host}/team/app`;
	const made = await s2oci(makeWorkspace(), ['index', 'create', `${app}:1`, `${app}:amd64`, `${host}/other:arm64`]);
	expect(made.status, made.stderr).toBe(0);
	const index = JSON.parse(Buffer.from(manifests.get('team/app:1')?.bytes ?? []).toString()) as Index;
	expect(manifests.get('team/app:1')?.mediaType).toBe(DOCKER_INDEX);
	expect(index).toMatchObject({ mediaType: DOCKER_INDEX, manifests: [{}, { platform: ARM64 }] });
	for (const { digest } of index.manifests) {
		const { config, layers } = JSON.parse(Buffer.from(manifests.get(`team/app@${digest}`)?.bytes ?? []).toString()) as {
			config: { digest: string };
			layers: { digest: string }[];
		};
		for (const blob of [config, ...layers]) expect(blobs.has(`team/app@${blob.digest}`)).toBe(true);
	}
	const layer = digestOf(Buffer.from('x'));
	expect(requests.filter(({ method, path }) => method === 'GET' && path.includes(layer))).toEqual([]);
});

test('what cannot be in an index is refused, and nothing is pushed', async () => {
	const registry = await twoImages();
	const { host, manifests } = registry;
	const app = `${host}/team/app`;
	publish(registry, gzip({ architecture: '' }), 'team/app', 'nowhere');
	const nested = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] };
	manifests.set('team/app:index', { mediaType: OCI_INDEX, bytes: jsonBytes(nested) });
	const before = manifests.size;
	const workspace = makeWorkspace();
	const refused = async (...members: readonly string[]) => {
		const { status, stdout, stderr } = await s2oci(workspace, ['index', 'create', `${app}:1`, ...members]);
		expect(stdout).toBe('');
		expect(stderr).toMatch(/^error: [^]*\nhint: .+\n$/m);
		return `${String(status)} ${stderr}`;
	};
	expect(await refused(`${app}:index`)).toMatch(/^3 .*is an index itself/s);
	expect(await refused(`${app}:nowhere`)).toMatch(/^3 .*says no os or no architecture/s);
	expect(await refused(`sha256:${'0'.repeat(64)}`)).toMatch(/^3 .*HTTP 404/s);
	expect(await refused(`${app}:amd64`, `${app}:amd64`)).toMatch(/^2 .*both for linux\/amd64/s);
	expect(await refused(`${app}:amd64`, 'registry.example/app')).toMatch(/^2 .*is not on 127/s);
	expect(await refused(`oci:${tinyLayout()}`)).toMatch(/^2 .*an index is made on a registry/s);
	expect(await refused()).toMatch(/^2 .*needs the images/s);
	expect(manifests.size).toBe(before);
});

test('a target with a tag is refused with --push-by-digest, as is none', async () => {
	const workspace = makeWorkspace();
	const words = ['build', TINY_APP, `oci:${tinyLayout()}:latest`, '--push-by-digest'];
	const tagged = await s2oci(workspace, [...words, 'registry.example/app:1']);
	expect(tagged.status).toBe(2);
	expect(tagged.stderr).toContain('hint: Name the repository alone: registry.example/app');
	expect((await s2oci(workspace, [...words, '-o', `oci:${workspace.root}/image`])).status).toBe(2);
});
