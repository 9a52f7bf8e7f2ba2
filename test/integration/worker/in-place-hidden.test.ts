import { chmodSync, lchownSync, linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { requireRoot } from '../../support/host.js';
import { tarDirectory, tarFile } from '../../support/tar.js';
import { BASE, openScene, preparing, type Scene } from './in-place-scene.js';

// Only root gives files to the user of assemble.
beforeEach((context) => requireRoot(context));

const ASSEMBLE = { uid: 1001, gid: 1001, additionalGids: [7] };

/** A build by root in an adopted image whose assemble, which is another user, has done `change`; the paths in the layer, and its notices. */
async function changedBy(scene: Scene, change: () => void): Promise<readonly string[]> {
	const root = scene.mount();
	await root.prepare(preparing({ user: ASSEMBLE }));
	change();
	const layer = await scene.layerOf(root);
	return layer.map((line) => line.split(' ')[1] ?? '').filter((path) => !path.endsWith('/'));
}

describe('what the user of assemble may not read', () => {
	const owned = { ids: { uids: 65536, gids: 65536 } };
	const secret = (scene: Scene, name: string, mode = 0o600) => {
		writeFileSync(scene.at(name), 'secret', { mode });
		chmodSync(scene.at(name), mode);
	};

	test.each<[string, (scene: Scene) => void, (scene: Scene) => void, string]>([
		[
			'a file',
			(scene) => secret(scene, 'opt/app/.env'),
			({ at }) => renameSync(at('opt/app/.env'), at('opt/app/env')),
			'/opt/app/env',
		],
		[
			'a file of a group that it is not in',
			(scene) => secret(scene, 'opt/app/.env', 0o640),
			({ at }) => renameSync(at('opt/app/.env'), at('opt/app/env')),
			'/opt/app/env',
		],
		[
			'a file in the place of one of the image',
			(scene) => secret(scene, 'opt/app/.env'),
			({ at }) => renameSync(at('opt/app/.env'), at('opt/app/base')),
			'/opt/app/base',
		],
		[
			'a hard link to a file',
			(scene) => secret(scene, 'opt/app/.env'),
			({ at }) => linkSync(at('opt/app/.env'), at('opt/app/env')),
			'/opt/app/env',
		],
		[
			'a directory, with files that all may read',
			(scene) => {
				mkdirSync(scene.at('opt/app/sealed/deep'), { recursive: true });
				secret(scene, 'opt/app/sealed/deep/key', 0o644);
				chmodSync(scene.at('opt/app/sealed'), 0o700);
			},
			({ at }) => renameSync(at('opt/app/sealed'), at('opt/app/open')),
			'/opt/app/open',
		],
		[
			'a file of the image with the words of the job',
			(scene) => secret(scene, 'opt/app/closed'),
			({ at }) => renameSync(at('opt/app/closed'), at('opt/app/moved')),
			'/opt/app/moved',
		],
	])('is not in the layer when it is moved, and told: %s', async (_what, prepare, change, told) => {
		using scene = await openScene([...BASE, tarFile('opt/app/closed', 'closed', { mode: 0o600 })], owned);
		await scene.adopt();
		prepare(scene);
		expect(await changedBy(scene, () => change(scene))).not.toContain(told.slice(1));
		expect(scene.notices).toEqual([expect.stringContaining(`before: ${told}`) as string]);
	});

	test.each<[string, (scene: Scene) => void, readonly string[]]>([
		[
			'is new, or was moved from where another process put it meanwhile',
			({ at }) => {
				writeFileSync(at('opt/app/new'), 'secret', { mode: 0o600 });
				writeFileSync(at('opt/app/readable'), 'root');
				writeFileSync(at('opt/app/its'), 'its');
				lchownSync(at('opt/app/its'), 1001, 1001);
			},
			['opt/app/its'],
		],
		['is written by root meanwhile', ({ at }) => writeFileSync(at('opt/app/base'), 'other'), []],
	])('is not in the layer when it %s', async (_what, change, expected) => {
		using scene = await openScene(BASE, owned);
		await scene.adopt();
		expect(await changedBy(scene, () => change(scene))).toEqual(expected);
	});

	test('is in the layer when it is what the image has, wherever it is moved', async () => {
		const sealed = [tarDirectory('opt/sealed', { mode: 0o700 }), tarFile('opt/sealed/file', 'x', { mtime: 1000 })];
		using scene = await openScene([...BASE, ...sealed, tarFile('opt/app/closed', 'c', { mode: 0o600 })], owned);
		await scene.adopt();
		const { at } = scene;
		const found = await changedBy(scene, () => {
			renameSync(at('opt/sealed'), at('opt/opened'));
			renameSync(at('opt/app/closed'), at('opt/app/moved'));
		});
		expect(found).toEqual(expect.arrayContaining(['opt/opened/file', 'opt/app/moved']));
		expect(scene.notices).toEqual([]);
	});

	test('is nothing that it owns, may read as a member of a group, or wrote', async () => {
		using scene = await openScene(BASE, owned);
		await scene.adopt();
		const { at } = scene;
		for (const name of ['own', 'group', 'written']) secret(scene, `opt/app/${name}`, 0o660);
		lchownSync(at('opt/app/own'), 1001, 1001);
		for (const name of ['group', 'written']) lchownSync(at(`opt/app/${name}`), 0, 7);
		const found = await changedBy(scene, () => {
			for (const name of ['own', 'group']) renameSync(at(`opt/app/${name}`), at(`opt/app/${name}-moved`));
			writeFileSync(at('opt/app/written'), 'by assemble');
		});
		expect(found).toEqual(['opt/app/group-moved', 'opt/app/own-moved', 'opt/app/written']);
		expect(scene.notices).toEqual([]);
	});

	test('is not packed when it is put in the place of what assemble made, once that was looked at', async () => {
		using scene = await openScene(BASE, owned);
		const { at } = scene;
		secret(scene, 'opt/app/.env');
		await scene.adopt();
		const root = scene.mount();
		await root.prepare(preparing({ user: ASSEMBLE }));
		writeFileSync(at('opt/app/made'), 'public');
		lchownSync(at('opt/app/made'), 1001, 1001);
		const packing = scene.layerOf(root, [], () => renameSync(at('opt/app/.env'), at('opt/app/made')));
		await expect(packing).rejects.toMatchObject({ code: 'ASSEMBLE_SURVIVED' });
	});
});

test.each([
	['that all may read', 0o644],
	['that the image closes', 0o600],
])('the numbers of deleted files %s make no other file readable', async (_kind, mode) => {
	const names = Array.from({ length: 30 }, (_none, number) => `opt/app/bait${number}`);
	const members = names.map((name) => tarFile(name, 'x', { mode }));
	using scene = await openScene([...BASE, ...members], { ids: { uids: 65536, gids: 65536 } });
	const { at } = scene;
	mkdirSync(at('opt/app/sealed'), { mode: 0o700 });
	await scene.adopt();
	const layer = await changedBy(scene, () => {
		for (const name of names) rmSync(at(name));
		// Of another process of root, while assemble runs.
		for (const number of names.keys()) writeFileSync(at(`opt/app/sealed/key${number}`), 'secret', { mode });
		renameSync(at('opt/app/sealed'), at('opt/app/open'));
	});
	expect(layer.filter((path) => path.includes('key'))).toEqual([]);
});
