import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { openScene, preparing, type Scene } from './in-place-scene.js';

const MARK = '.s2oci-built';
const MARKED = {
	code: 'HOST_IN_PLACE',
	message: expect.stringContaining('a build was made in this container before') as string,
};

/** A build, at whose end `leave` is what assemble left. */
async function build(scene: Scene, leave: () => void): Promise<void> {
	await scene.adopt();
	const root = scene.mount();
	await root.prepare(preparing({ placements: [scene.placement('/tmp/src')] }));
	leave();
	root.unmount();
}

describe('the mark of a build', () => {
	test.each<[string, (scene: Scene) => void]>([
		['a link to a file', ({ at }) => symlinkSync(at('secret'), at(`opt/app/${MARK}`))],
		['a link to nothing', ({ at }) => symlinkSync(at('outside/new'), at(`opt/app/${MARK}`))],
		['a FIFO', ({ at }) => void execFileSync('mkfifo', [at(`opt/app/${MARK}`)])],
		['a directory', ({ at }) => mkdirSync(at(`opt/app/${MARK}`))],
		[
			'a link in place of WORKDIR',
			({ at }) => {
				renameSync(at('opt/app'), at('opt/moved'));
				symlinkSync(at('outside'), at('opt/app'));
			},
		],
	])('is written through nothing that assemble left, and not missing for it: %s', async (_what, leave) => {
		using scene = await openScene();
		const { at } = scene;
		mkdirSync(at('outside'));
		writeFileSync(at('secret'), 'secret');
		await build(scene, () => leave(scene));
		expect(readFileSync(at('secret'), 'utf8')).toBe('secret');
		expect(existsSync(at('outside/new')) || existsSync(at(`outside/${MARK}`))).toBe(false);
		await expect(scene.mount().prepare(preparing())).rejects.toMatchObject(MARKED);
	});

	test('counts also as a link to nothing', async () => {
		using scene = await openScene();
		symlinkSync('/nowhere', scene.at(`opt/app/${MARK}`));
		await scene.adopt();
		await expect(scene.mount().prepare(preparing())).rejects.toMatchObject(MARKED);
	});
});
