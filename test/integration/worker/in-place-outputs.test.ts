import { execFileSync } from 'node:child_process';
import { existsSync, lchownSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { requireRoot } from '../../support/host.js';
import { tarDirectory, tarFile } from '../../support/tar.js';
import { BASE, openScene, preparing, type Scene } from './in-place-scene.js';

// Only root gives files to the user of assemble.
beforeEach((context) => requireRoot(context));

const ASSEMBLE = { uid: 1001, gid: 1001 };

describe('what a process writes for the build', () => {
	const owned = { ids: { uids: 65536, gids: 65536 } };
	const OUTPUT = '/tmp/.s2i/image_metadata.json';
	const write = ({ at }: Scene, text = 'made') => {
		mkdirSync(at('tmp/.s2i'), { recursive: true });
		writeFileSync(at(OUTPUT), text);
		lchownSync(at(OUTPUT), 1001, 1001);
	};

	/** What the build reads when `change` is all that assemble did. */
	async function readAfter(scene: Scene, change: () => void): Promise<unknown> {
		await scene.adopt();
		const root = scene.mount();
		await root.prepare(preparing({ user: ASSEMBLE, outputs: [OUTPUT] }));
		change();
		const [found] = root.inspect([], [OUTPUT]);
		return found?.text ?? found?.type;
	}

	test('is read', async () => {
		using scene = await openScene(BASE, owned);
		expect(await readAfter(scene, () => write(scene))).toBe('made');
		expect(scene.notices).toEqual([]);
	});

	test.each<[string, (scene: Scene) => void]>([
		['a file', (scene) => write(scene, 'left')],
		[
			'a link',
			({ at }) => {
				mkdirSync(at('tmp/.s2i'));
				symlinkSync('/etc/os-release', at(OUTPUT));
			},
		],
	])('is not %s that was there before', async (_what, leave) => {
		using scene = await openScene(BASE, owned);
		leave(scene);
		expect(await readAfter(scene, () => undefined)).toBe('missing');
		expect(existsSync(scene.at('tmp/.s2i'))).toBe(false);
		expect(existsSync(scene.at('etc/os-release'))).toBe(true);
		expect(scene.notices).toEqual([expect.stringContaining(`${OUTPUT} was there before and is removed`) as string]);
	});

	test('is what was there before and cannot be removed only once it is changed', async () => {
		using scene = await openScene(BASE, owned);
		mkdirSync(scene.at(OUTPUT), { recursive: true });
		expect(await readAfter(scene, () => undefined)).toBe('missing');
		expect(scene.notices).toEqual([expect.stringContaining('cannot be removed') as string]);
		rmSync(scene.at(OUTPUT), { recursive: true });
		write(scene);
		using other = await openScene(BASE, owned);
		mkdirSync(other.at(OUTPUT), { recursive: true });
		const replace = () => {
			rmSync(other.at(OUTPUT), { recursive: true });
			write(other);
		};
		expect(await readAfter(other, replace)).toBe('made');
	});

	test('is what the image has', async () => {
		const [file, directory] = [tarFile(OUTPUT.slice(1), 'of the image'), tarDirectory('tmp/.s2i')];
		using scene = await openScene([...BASE, directory, file], owned);
		expect(await readAfter(scene, () => undefined)).toBe('of the image');
	});

	test.each<[string, (scene: Scene) => void]>([
		['a link to a file', ({ at }) => symlinkSync('/opt/app/.env', at(OUTPUT))],
		[
			'a link in place of its directory',
			({ at }) => {
				rmSync(at('tmp/.s2i'), { recursive: true });
				symlinkSync('/vault', at('tmp/.s2i'));
			},
		],
		['a FIFO', ({ at }) => void execFileSync('mkfifo', [at(OUTPUT)])],
		['a file that only root may read', ({ at }) => renameSync(at('opt/app/.env'), at(OUTPUT))],
		[
			'a file from a directory that only root may enter',
			({ at }) => {
				rmSync(at('tmp/.s2i'), { recursive: true });
				renameSync(at('vault'), at('tmp/.s2i'));
			},
		],
	])('is never %s', async (_what, change) => {
		using scene = await openScene(BASE, owned);
		const { at } = scene;
		writeFileSync(at('opt/app/.env'), 'secret', { mode: 0o600 });
		mkdirSync(at('vault'), { mode: 0o700 });
		writeFileSync(at('vault/image_metadata.json'), 'secret');
		const read = await readAfter(scene, () => {
			mkdirSync(at('tmp/.s2i'));
			change(scene);
		});
		expect(['missing', 'other']).toContain(read);
	});

	test('is not looked for where a link of another user leads', async () => {
		using scene = await openScene(BASE, owned);
		symlinkSync('/etc', scene.at('tmp/.s2i'));
		lchownSync(scene.at('tmp/.s2i'), 1001, 1001);
		await expect(readAfter(scene, () => undefined)).rejects.toMatchObject({ code: 'HOST_IN_PLACE' });
	});
});
