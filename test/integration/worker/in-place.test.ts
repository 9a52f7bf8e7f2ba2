import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/oci/digest.js';
import { tarDirectory, tarFile, tarSymlink } from '../../support/tar.js';
import { BASE, openScene, preparing, type Scene } from './in-place-scene.js';

/** A file of the host that is there for sure. */
const OF_HOST = fileURLToPath(import.meta.url);

describe('the check of a live root filesystem', () => {
	test('compares what it can, and lets the image be mounted only when it is the image', async () => {
		using scene = await openScene();
		expect(() => scene.mount()).toThrow(/no other root filesystem/);
		expect(await scene.adopt()).toBe(4);
		expect(scene.mount().path).toBe(scene.at('').replace(/\/$/, ''));
		expect(() => scene.mount([digestOf(Buffer.from('other'))])).toThrow(/no other root filesystem/);
	});

	test.each<[string, (scene: Scene) => void, string]>([
		['is missing', ({ at }) => rmSync(at('usr/s2i/assemble')), '/usr/s2i/assemble is not as in it'],
		['is longer', ({ at }) => writeFileSync(at('etc/os-release'), 'NAME=other1\n'), '/etc/os-release is not as in it'],
		['has other bytes', ({ at }) => writeFileSync(at('opt/app/base'), 'BASE\n'), '/opt/app/base is not as in it'],
		[
			'is a link now',
			({ at }) => {
				rmSync(at('opt/app/base'));
				symlinkSync('/etc/os-release', at('opt/app/base'));
			},
			'/opt/app/base is not as in it',
		],
		[
			'is one of many',
			({ at }) => {
				for (const name of ['etc', 'opt']) rmSync(at(name), { recursive: true });
			},
			' are not as in it',
		],
	])('finds a file that %s', async (_what, change, message) => {
		using scene = await openScene();
		change(scene);
		await expect(scene.adopt()).rejects.toMatchObject({
			code: 'HOST_NOT_BUILDER',
			message: expect.stringContaining(message) as string,
		});
	});

	test("does not mind what platforms write, and what is the runner's", async () => {
		using scene = await openScene();
		writeFileSync(scene.at('etc/passwd'), 'job:x:100001:0::/:/bin/sh\n');
		writeFileSync(scene.at('opt/runner'), 'other\n');
		expect(await scene.adopt({ skip: ['/opt/runner'] })).toBe(3);
	});

	test('minds tools that the image has itself', async () => {
		using scene = await openScene();
		writeFileSync(scene.at('opt/runner'), 'other\n');
		await expect(scene.adopt({ tools: ['/opt/runner'] })).rejects.toMatchObject({ code: 'HOST_NOT_BUILDER' });
	});

	test('looks at no more than 64 files besides those it was told', async () => {
		const many = Array.from({ length: 300 }, (_, index) => tarFile(`opt/${index}`, String(index)));
		using scene = await openScene([...BASE, ...many]);
		expect(await scene.adopt({ files: ['/usr/s2i/assemble', '/usr/s2i/none'] })).toBeLessThanOrEqual(68);
	});
});

describe('what is placed in a live root filesystem', () => {
	test('is there until the end, and in the layer only when it is to be kept', async () => {
		using scene = await openScene();
		await scene.adopt();
		const root = scene.mount();
		const placements = [scene.placement('/tmp/deep/src'), scene.placement('/tmp/scripts', true)];
		await root.prepare(preparing({ placements, workingDir: '/opt/app/new' }));
		expect(readFileSync(scene.at('tmp/deep/src/file'), 'utf8')).toBe('placed\n');
		writeFileSync(scene.at('opt/app/new/made'), 'x');
		writeFileSync(scene.at('opt/app/base'), 'changed\n');
		expect(await scene.layerOf(root, ['/tmp/deep/src'])).toEqual([
			...['directory opt/ 0 755', 'directory opt/app/ 0 755', 'file opt/app/base 70 644'],
			...['directory opt/app/new/ 0 755', 'file opt/app/new/made 1001 644'],
			...['directory tmp/ 0 755', 'directory tmp/scripts/ 1001 755', 'file tmp/scripts/file 1001 644'],
		]);
		root.unmount();
		expect(['tmp/deep', 'tmp/scripts'].filter((path) => existsSync(scene.at(path)))).toEqual([]);
		expect(existsSync(scene.at('opt/app/new/made'))).toBe(true);
	});

	test('does not replace what is there', async () => {
		using scene = await openScene();
		await scene.adopt();
		mkdirSync(scene.at('tmp/src'));
		const root = scene.mount();
		const placements = [scene.placement('/tmp/scripts'), scene.placement('/tmp/src')];
		await expect(root.prepare(preparing({ placements }))).rejects.toMatchObject({
			code: 'HOST_IN_PLACE',
			message: '"/tmp/src" of this container exists already',
		});
		root.unmount();
		expect([existsSync(scene.at('tmp/scripts')), lstatSync(scene.at('tmp/src')).isDirectory()]).toEqual([false, true]);
	});

	test('does not follow a link of the image to the directories of the kernel', async () => {
		using scene = await openScene([...BASE, tarDirectory('proc'), tarSymlink('tmp/away', '/proc')]);
		await scene.adopt();
		const placements = [scene.placement('/tmp/away/src')];
		await expect(scene.mount().prepare(preparing({ placements }))).rejects.toMatchObject({ code: 'IMAGE_UNSUPPORTED' });
	});

	test('may be a secret or an injected directory, which go when the build ends', async () => {
		using scene = await openScene();
		await scene.adopt();
		const root = scene.mount();
		const { source } = scene.placement('');
		const common = { type: 'file', readOnly: true } as const;
		const secret = Buffer.from('secret').toString('base64');
		const binds = [
			{ ...common, source: { type: 'content', base64: secret, mode: 0o400 }, destination: '/run/secrets/id' },
			{ ...common, type: 'directory', source: { type: 'copy', path: source }, destination: '/opt/app/given' },
			{ ...common, source: { type: 'copy', path: OF_HOST }, destination: '/etc/hosts' },
		] as const;
		await root.prepare(preparing({ binds }));
		expect(readFileSync(scene.at('run/secrets/id'), 'utf8')).toBe('secret');
		expect(readFileSync(scene.at('opt/app/given/file'), 'utf8')).toBe('placed\n');
		expect(await scene.layerOf(root)).toEqual([]);
		root.unmount();
		expect(['run', 'opt/app/given', 'etc/hosts'].filter((path) => existsSync(scene.at(path)))).toEqual([]);
		const volume = { ...common, source: { type: 'itself', path: source }, destination: '/opt/v' } as const;
		await expect(scene.mount().prepare(preparing({ binds: [volume] }))).rejects.toMatchObject({
			code: 'HOST_IN_PLACE',
		});
	});

	test('marks a container in which a build was made', async () => {
		using scene = await openScene();
		await scene.adopt();
		const first = scene.mount();
		await first.prepare(preparing({ placements: [scene.placement('/tmp/src')] }));
		first.unmount();
		await expect(scene.mount().prepare(preparing())).rejects.toMatchObject({
			code: 'HOST_IN_PLACE',
			message: expect.stringContaining('a build was made in this container before') as string,
		});
	});
});
