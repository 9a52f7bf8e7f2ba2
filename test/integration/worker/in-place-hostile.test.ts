import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
	chmodSync,
	existsSync,
	lchownSync,
	lstatSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	renameSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { requireRoot } from '../../support/host.js';
import { tarSymlink } from '../../support/tar.js';
import { BASE, openScene, preparing, type Scene } from './in-place-scene.js';

/** As the user of the image: links a directory of its own elsewhere, as soon as it is its own. */
const RACER = `const fs = require('node:fs');
const [src, elsewhere] = process.argv.slice(2);
process.stdout.write('ready\\n');
for (const end = Date.now() + 10000; Date.now() < end; ) {
	try {
		if (fs.lstatSync(src + '/dir').uid !== 1001) continue;
		fs.renameSync(src + '/dir', src + '/gone');
		fs.symlinkSync(elsewhere, src + '/dir');
		process.stdout.write('exchanged\\n');
		break;
	} catch {}
}`;
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

describe('what is placed where another user works', () => {
	const PEER = { uid: 1001, gid: 1001 };
	const owned = { ids: { uids: 65536, gids: 65536 } };

	test('belongs to that user only once nobody can exchange it any more', async (context) => {
		requireRoot(context);
		using scene = await openScene(undefined, owned);
		const { at } = scene;
		mkdirSync(at('protected'));
		const placement = scene.placement('/tmp/src');
		mkdirSync(join(placement.source, 'dir'));
		for (let each = 0; each < 5000; each++) {
			writeFileSync(join(placement.source, 'dir', String(each)), '');
			writeFileSync(at(`protected/${each}`), '', { mode: 0o600 });
		}
		writeFileSync(at('racer.cjs'), RACER);
		chmodSync(dirname(at('.')), 0o755);
		const racer = spawn(process.execPath, [at('racer.cjs'), at('tmp/src'), at('protected')], PEER);
		let said = '';
		racer.stdout.on('data', (bytes: Buffer) => (said += String(bytes)));
		await once(racer.stdout, 'data');
		await scene.adopt();
		await scene.mount().prepare(preparing({ placements: [placement] }));
		await once(racer, 'exit');
		expect(said).toBe('ready\nexchanged\n');
		const given = readdirSync(at('protected')).filter((name) => lstatSync(at(`protected/${name}`)).uid !== 0);
		expect(given).toEqual([]);
	});

	test('is put through no link that user left', async (context) => {
		requireRoot(context);
		using scene = await openScene(undefined, owned);
		const { at } = scene;
		mkdirSync(at('protected'));
		symlinkSync('/protected', at('opt/link'));
		lchownSync(at('opt/link'), 1001, 1001);
		await scene.adopt();
		const preparation = scene.mount().prepare(preparing({ placements: [scene.placement('/opt/link/deep/src')] }));
		await expect(preparation).rejects.toMatchObject({
			code: 'HOST_IN_PLACE',
			message: '"/opt/link" of this container is a link of user 1001, which the builder image does not have',
		});
		expect(readdirSync(at('protected'))).toEqual([]);
	});

	test('may be put through a link of that user that the image has', async (context) => {
		requireRoot(context);
		using scene = await openScene([...BASE, tarSymlink('opt/link', 'app')], owned);
		lchownSync(scene.at('opt/link'), 1001, 1001);
		await scene.adopt();
		await scene.mount().prepare(preparing({ placements: [scene.placement('/opt/link/src')] }));
		expect(lstatSync(scene.at('opt/app/src/file')).uid).toBe(1001);
	});
});
