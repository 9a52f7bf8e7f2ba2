import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readBytes } from '../../../src/content/verify.js';
import { digestOf } from '../../../src/oci/digest.js';
import { appendLayer } from '../../../src/oci/image.js';
import { openImageSource } from '../../../src/pipeline/images/open-image.js';
import { resolveImage } from '../../../src/pipeline/images/resolve-image.js';
import { openRegistries, type Registries } from '../../../src/registry/registries.js';
import { freePort } from '../../support/free-port.js';
import { contentOf, descriptorOf, NO_ENGINE, testImage, writeImage } from '../../support/images.js';
import { keptProgram } from '../../support/programs.js';

const signal = AbortSignal.timeout(60_000);
let root: string;
let host: string;
let server: ChildProcess;
let registries: Registries;

async function waitUntilUp(): Promise<void> {
	for (let attempt = 0; attempt < 100; attempt += 1) {
		const up = await fetch(`http://${host}/v2/`).then(
			(response) => response.ok,
			() => false,
		);
		if (up) return;
		await delay(100);
	}
	throw new Error('docker-registry did not start');
}

describe('against the distribution registry', () => {
	beforeAll(async () => {
		root = await mkdtemp(join(tmpdir(), 's2oci-registry-'));
		host = `127.0.0.1:${await freePort()}`;
		const config = join(root, 'config.yml');
		const storage = `storage:\n  filesystem:\n    rootdirectory: ${root}/data\n`;
		await writeFile(config, `version: 0.1\nlog:\n  level: error\n${storage}http:\n  addr: ${host}\n`);
		server = spawn(keptProgram('docker-registry'), ['serve', config], { stdio: 'ignore' });
		await waitUntilUp();
		registries = openRegistries({ env: {}, insecureRegistries: [], caBundle: undefined, userAgent: 's2oci/test' });
	});

	afterAll(async () => {
		await registries.close();
		const exited = once(server, 'exit');
		server.kill();
		await exited;
		await rm(root, { recursive: true, force: true });
	});

	test.each(['oci', 'docker'] as const)('a %s image is pushed, resolved and pulled unchanged', async (family) => {
		const { image, blobs } = testImage({ family, layers: [randomBytes(2_000_000), randomBytes(3)] });
		const path = `push/${family}`;
		const repository = registries.open({ registry: host, path });
		await writeImage({ image, blobs }, repository, 'v1', signal);
		expect(await repository.resolve('v1', signal)).toEqual(image.manifest.descriptor);
		const access = { ...NO_ENGINE, registry: registries.open, scratch: () => Promise.resolve(root) };
		const reference = { repository: { registry: host, path }, tag: 'v1' };
		const opened = await openImageSource({ type: 'registry', reference }, access, signal);
		const pulled = await resolveImage(opened, { os: 'linux', architecture: 'amd64' }, signal);
		expect(pulled.manifest.descriptor).toEqual(image.manifest.descriptor);
		for (const { blob } of pulled.layers) {
			expect(digestOf(await readBytes(await repository.open(blob, signal), blob.size, 'a layer'))).toBe(blob.digest);
		}
	});

	test('all tags of a repository are listed, and a repository that is not there is told of', async () => {
		const repository = registries.open({ registry: host, path: 'push/tags' });
		await writeImage(testImage(), repository, 'a', signal);
		await writeImage(testImage(), repository, 'b.1', signal);
		expect(await repository.tags(signal)).toEqual(['a', 'b.1']);
		const missing = registries.open({ registry: host, path: 'push/missing' }).tags(signal);
		await expect(missing).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' });
	});

	test('layers are mounted from another repository, and the appended image is complete', async () => {
		const base = testImage({ layers: [randomBytes(500_000)] });
		const from = registries.open({ registry: host, path: 'mount/base' });
		await writeImage(base, from, 'v1', signal);
		const tar = randomBytes(1000);
		const blob = descriptorOf(tar, 'application/vnd.oci.image.layer.v1.tar');
		const change = {
			config: (config: object) => config,
			history: { created_by: 'test' },
			created: '2026-01-01T00:00:00Z',
		};
		const image = appendLayer(base.image, { blob, diffId: digestOf(tar) }, change);
		const to = registries.open({ registry: host, path: 'mount/app' });
		for (const layer of base.image.layers) expect(await to.mount(layer.blob, from, signal)).toBe(true);
		const blobs = new Map([
			[blob.digest, tar],
			[image.config.descriptor.digest, image.config.bytes],
		]);
		await to.put(blob, () => Promise.resolve(contentOf(blobs, blob)), signal);
		await to.put(image.config.descriptor, () => Promise.resolve(contentOf(blobs, image.config.descriptor)), signal);
		await to.putManifest(image.manifest, 'v1', signal);
		expect((await to.resolve('v1', signal)).digest).toBe(image.manifest.descriptor.digest);
	});

	test('a blob that the other repository does not have is not mounted, and its upload completes', async () => {
		const bytes = randomBytes(5000);
		const blob = descriptorOf(bytes);
		const from = registries.open({ registry: host, path: 'mount/base' });
		const to = registries.open({ registry: host, path: 'mount/other' });
		expect(await to.mount(blob, from, signal)).toBe(false);
		await to.put(blob, () => Promise.resolve(contentOf(new Map([[blob.digest, bytes]]), blob)), signal);
		expect(await to.has(blob, signal)).toBe(true);
	});

	test('content that does not match its digest is refused by the registry', async () => {
		const blob = descriptorOf(Buffer.from('right'));
		const wrong = new Map([[blob.digest, Buffer.from('wrong')]]);
		const repository = registries.open({ registry: host, path: 'push/wrong' });
		const failure = repository.put(blob, () => Promise.resolve(contentOf(wrong, blob)), signal);
		await expect(failure).rejects.toMatchObject({ code: 'REGISTRY_REFUSED' });
		expect(await repository.has(blob, signal)).toBe(false);
	});
});
