import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agreement } from '../support/agreement.js';
import { build, s2oci } from '../support/build.js';
import { type BuiltImage, pulled } from '../support/built.js';
import { leftovers, makeWorkspace, requireUser } from '../support/host.js';
import { type ImageParts, publishImage } from '../support/layers.js';
import { startRegistry, type TestRegistry } from '../support/registry.js';
import { tarDirectory, tarFile } from '../support/tar.js';
import {
	assembleSource,
	emptyRegistry,
	makeSource,
	publish,
	readLayout,
	tinyLayout,
	tinyParts,
	withTinyBuilder,
} from '../support/tiny.js';

withTinyBuilder();

const env = { SOURCE_DATE_EPOCH: '1750000000' };
const MAKE = `
	echo built
	mkdir -p dist/bin && echo '#!/bin/sh' > dist/bin/tool && chmod 700 dist/bin/tool && ln dist/bin/tool dist/bin/twin
	ln -s /etc/passwd dist/link && echo data > one.txt && chmod 640 one.txt`;
const ASSEMBLE_RUNTIME = '#!/bin/sh\nset -eu\nid -u > who\npwd >> who\necho "${TINY_X:-}" >> who\nls >> who\n';

/** An image with busybox, a user and scripts of its own; nothing of the tiny builder is in it. */
function runtimeParts(
	labels: Readonly<Record<string, string>> = {},
	scripts: readonly string[] = ['assemble-runtime', 'run'],
): ImageParts {
	const texts: Readonly<Record<string, string>> = {
		'assemble-runtime': ASSEMBLE_RUNTIME,
		run: '#!/bin/sh\ncat /srv/app/who\n',
	};
	return {
		tars: tinyParts().tars.slice(0, 1),
		files: [
			tarDirectory('srv'),
			tarDirectory('srv/app', { uid: 1001 }),
			tarDirectory('usr/libexec'),
			...scripts.map((name) => tarFile(`usr/libexec/${name}`, texts[name], { mode: 0o755 })),
		],
		config: {
			User: '1001',
			WorkingDir: '/srv/app',
			Env: ['PATH=/bin', 'OF=runtime'],
			Cmd: ['true'],
			Labels: { 'io.openshift.s2i.scripts-url': 'image:///usr/libexec/', kept: 'label', ...labels },
		},
	};
}

const INPUT_FILES = 'io.openshift.s2i.assemble-input-files';

function fill(registry: TestRegistry, parts: ImageParts): readonly [builder: string, runtime: string] {
	publish(registry, readLayout(tinyLayout()));
	return [`${registry.host}/builders/tiny`, publishImage(registry, 'runtime', parts)];
}

async function built(source: string, parts: ImageParts, ...args: readonly string[]): Promise<BuiltImage> {
	const registry = await emptyRegistry();
	const [builder, runtime] = fill(registry, parts);
	const words = [source, builder, `${registry.host}/team/app`, '--copy', '--runtime-image', runtime, ...args];
	await build(makeWorkspace(), words, { env });
	return pulled(registry, 'team/app');
}

async function failed(source: string, parts: ImageParts, ...args: readonly string[]): ReturnType<typeof s2oci> {
	const registry = await emptyRegistry();
	const [builder, runtime] = fill(registry, parts);
	const workspace = makeWorkspace();
	const words = [source, builder, `${registry.host}/team/app`, '--copy', '--runtime-image', runtime, ...args];
	const finished = await s2oci(workspace, ['build', ...words], { env });
	expect(await leftovers(workspace)).toEqual([]);
	expect(registry.manifests.has('team/app:latest')).toBe(false);
	return finished;
}

describe('a build with a runtime image', () => {
	const images = agreement('the image');
	let registry: TestRegistry;
	beforeAll(async () => {
		registry = await startRegistry();
		fill(registry, runtimeParts({ [INPUT_FILES]: '/opt/app-root/src/dist;/opt/app-root/src/one.txt:data/in' }));
	});
	afterAll(() => registry.close());

	for (const name of ['root', 's2oci-subuid', 's2oci-plain'] as const) {
		test(`has only the artifacts on top of it, the same for ${name} as for everybody`, async (context) => {
			const workspace = makeWorkspace(requireUser(context, name));
			const image = `oci:${workspace.root}/home/image:1`;
			const names = [
				`${registry.host}/builders/tiny`,
				`${registry.host}/team/app`,
				'--runtime-image',
				`${registry.host}/builders/runtime`,
			];
			const { result } = await build(
				workspace,
				[assembleSource(MAKE), ...names, '--copy', '-e', 'TINY_X=mine', '-o', image],
				{ env },
			);
			const { entries, config, manifest } = await pulled(registry, 'team/app');
			expect([...entries.keys()]).toEqual([
				'srv',
				'srv/app',
				'srv/app/data',
				'srv/app/data/in',
				'srv/app/data/in/one.txt',
				'srv/app/dist',
				'srv/app/dist/bin',
				'srv/app/dist/bin/tool',
				'srv/app/dist/bin/twin',
				'srv/app/dist/link',
				'srv/app/who',
			]);
			const header = (path: string) => entries.get(`srv/app/${path}`)?.header;
			expect(header('dist/bin/tool')).toMatchObject({ mode: 0o700, uid: 1001, gid: 0 });
			expect(header('dist/bin/twin')).toMatchObject({ type: 'link', linkname: 'srv/app/dist/bin/tool' });
			expect(header('dist/link')).toMatchObject({ type: 'symlink', linkname: '/etc/passwd', uid: 1001 });
			expect(header('data/in/one.txt')).toMatchObject({ mode: 0o640, uid: 1001 });
			expect(header('data')).toMatchObject({ mode: 0o755, uid: 1001 });
			expect(entries.get('srv/app/who')?.content).toBe('1001\n/srv/app\nmine\ndata\ndist\nwho\n');
			expect(manifest.layers).toHaveLength(3);
			expect(config.config).toMatchObject({
				User: '1001',
				WorkingDir: '/srv/app',
				Cmd: ['/usr/libexec/run'],
				Labels: { kept: 'label', 'io.openshift.s2i.build.image': `${registry.host}/builders/tiny:latest` },
			});
			expect(config.config.Env).toEqual(['PATH=/bin', 'OF=runtime', 'TINY_X=mine']);
			images.add(String(result.layer?.digest));
			expect(await leftovers(workspace)).toEqual([]);
			const ran = await s2oci(workspace, ['run', image]);
			expect([ran.status, ran.stdout]).toEqual([0, '1001\n/srv/app\nmine\ndata\ndist\nwho\n']);
		});
	}
	images.isTested();
});

describe('the scripts of a runtime build', () => {
	test('come from the source before the image, and CMD is absolute', async () => {
		const source = assembleSource(MAKE, {
			'.s2i/bin/assemble-runtime': '#!/bin/sh\necho own > own\n',
			'.s2i/bin/run': '#!/bin/sh\ncat /srv/app/own\n',
		});
		const { entries, config } = await built(source, runtimeParts({}, []), '-a', '/opt/app-root/src/one.txt');
		expect(config.config.Cmd).toEqual(['/tmp/scripts/run']);
		expect(entries.get('srv/app/own')?.content).toBe('own\n');
		expect(entries.get('tmp/scripts/run')?.header.mode).toBe(0o755);
		expect(entries.has('tmp/scripts/assemble')).toBe(false);
		expect(entries.has('srv/app/one.txt')).toBe(true);
	});

	test('that are missing are missed before assemble runs', async () => {
		const { status, stderr } = await failed(
			assembleSource(MAKE),
			runtimeParts({}, ['run']),
			'-a',
			'/opt/app-root/src/one.txt',
		);
		expect(status).toBe(1);
		expect(stderr).toMatch(/assemble-runtime.*\.s2i\/bin\/assemble-runtime.*\/usr\/libexec\/assemble-runtime/s);
		expect(stderr).not.toContain('built\n');
	});

	test('leave labels for the image, which are those of the runtime image', async () => {
		const metadata = (value: string) =>
			`mkdir -p /tmp/.s2i; echo '{"labels":[{"who":"${value}"}]}' > /tmp/.s2i/image_metadata.json`;
		const source = assembleSource(`${MAKE}\n${metadata('builder')}`, {
			'.s2i/bin/assemble-runtime': `#!/bin/sh\n${metadata('runtime')}\n`,
		});
		const { config } = await built(source, runtimeParts(), '-a', '/opt/app-root/src/one.txt');
		expect(config.config.Labels['who']).toBe('runtime');
	});

	test('that fail end the build', async () => {
		const source = assembleSource(MAKE, { '.s2i/bin/assemble-runtime': '#!/bin/sh\necho why >&2\nexit 9\n' });
		const { status, stderr } = await failed(source, runtimeParts(), '-a', '/opt/app-root/src/one.txt');
		expect(status).toBe(1);
		expect(stderr).toMatch(
			/assemble-runtime \(\/tmp\/scripts\/assemble-runtime\) ended with status 9\. Its last lines:\s*why/,
		);
	});
});

describe('the artifacts of a runtime build', () => {
	test('of the command line win over those of the label, and --assemble-runtime-user over the USER', async () => {
		const parts = runtimeParts({ [INPUT_FILES]: '/nowhere' });
		const { entries, config } = await built(
			assembleSource(MAKE),
			parts,
			'-a',
			'/opt/app-root/src/dist/bin:.',
			'--assemble-runtime-user',
			'0',
		);
		expect(entries.get('srv/app/bin/tool')?.header).toMatchObject({ uid: 0, gid: 0, mode: 0o700 });
		expect(entries.get('srv/app/who')?.content).toMatch(/^0\n/);
		expect(config.config.User).toBe('1001');
	});

	test('that assemble did not make are named, with the builder', async () => {
		const { status, stderr } = await failed(
			assembleSource(MAKE),
			runtimeParts(),
			'-a',
			'/opt/none;/opt/app-root/src/one.txt',
		);
		expect(status).toBe(1);
		expect(stderr).toMatch(/after assemble, the builder image \S*builders\/tiny:latest has no "\/opt\/none"/);
	});

	test.each([
		['a label that cannot be', '/opt/app-root/src:../out', 3, 'assemble-input-files of the runtime image is not valid'],
		['no label at all', '', 2, 'nothing says which files'],
	])('are refused before assemble runs: %s', async (_, label, wanted, message) => {
		const { status, stderr } = await failed(
			makeSource({ 'greeting.txt': 'x' }),
			runtimeParts({ [INPUT_FILES]: label }),
		);
		expect([status, stderr]).toEqual([wanted, expect.stringContaining(message)]);
		expect(stderr).not.toContain('assemble took');
	});
});
