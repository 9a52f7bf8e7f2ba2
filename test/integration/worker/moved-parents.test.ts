import { existsSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { libcWithoutKoffi } from '../../../src/linux/without-koffi.js';
import type { HostBind } from '../../../src/protocol/host-bind.js';
import { rawPath } from '../../../src/root-path.js';
import { placeBinds } from '../../../src/worker/host-binds.js';
import { openPlacements } from '../../../src/worker/in-place-placements.js';
import { listTree, temporaryDirectory } from '../../support/fs.js';

const IDS = { uids: 1, gids: 1 };
const OWNER = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const PLACE = '/opt/d/inner/shown';

interface Scene extends Disposable {
	readonly root: string;
	/** Has all that is at `PLACE`, from each of its directories on. */
	readonly outside: string;
	readonly scratch: string;
	readonly bind: HostBind;
}

function openScene(): Scene {
	const directory = temporaryDirectory();
	const [root, outside, scratch, source] = ['root', 'outside', 'scratch', 'source'].map((name) =>
		join(directory.path, name),
	) as [string, string, string, string];
	for (const path of ['opt/d/inner', 'd/inner', 'inner', ''])
		mkdirSync(join(outside, path, 'shown'), { recursive: true });
	for (const path of ['opt/d/inner', 'd/inner', 'inner', '']) writeFileSync(join(outside, path, 'shown/f'), 'kept');
	for (const path of [join(root, 'opt/d/inner'), scratch, source]) mkdirSync(path, { recursive: true });
	writeFileSync(join(source, 'f'), 'shown');
	const bind = {
		type: 'directory',
		source: { type: 'copy', path: rawPath(source) },
		destination: PLACE,
		readOnly: true,
	};
	return { root, outside, scratch, bind: bind as HostBind, [Symbol.dispose]: () => directory[Symbol.dispose]() };
}

const contextOf = ({ scratch }: Scene) => ({ libc: libcWithoutKoffi(scratch), ids: IDS, base: new Map() });

/** Puts a link to what of `outside` looks the same in place of the directory at `path`. */
function replace({ root, outside }: Scene, path: string): void {
	renameSync(join(root, path), join(root, `${path}.old`));
	symlinkSync(join(outside, path.slice(dirname(path).length)), join(root, path));
}

describe.each(['/opt', '/opt/d', '/opt/d/inner', PLACE])('a process that puts a link in place of %s', (path) => {
	test('has nothing outside of a root directory without mounts removed when what it was shown goes', () => {
		using scene = openScene();
		const release = placeBinds(scene.root, [scene.bind], OWNER, contextOf(scene));
		expect(existsSync(join(scene.root, PLACE, 'f'))).toBe(true);
		replace(scene, path);
		const before = listTree(scene.outside);
		release();
		expect(listTree(scene.outside)).toEqual(before);
	});

	test('has nothing outside of a live root filesystem removed', async () => {
		using scene = openScene();
		const { root, bind } = scene;
		const { signal } = new AbortController();
		const placements = openPlacements(rawPath(root), contextOf(scene), signal);
		placements.directory(rawPath('/opt/d/inner/made'));
		await placements.show(bind, undefined);
		replace(scene, path);
		mkdirSync(join(scene.outside, 'made'), { recursive: true });
		const before = listTree(scene.outside);
		placements.remove();
		expect(listTree(scene.outside)).toEqual(before);
	});
});

test('what was shown goes, and the directories that were made for it', async () => {
	using scene = openScene();
	placeBinds(scene.root, [scene.bind], OWNER, contextOf(scene))();
	const placements = openPlacements(rawPath(scene.root), contextOf(scene), new AbortController().signal);
	placements.directory(rawPath('/opt/d/inner/made/more'));
	await placements.show(scene.bind, undefined);
	placements.remove();
	expect([PLACE, '/opt/d/inner/made', '/opt/d/inner'].map((path) => existsSync(join(scene.root, path)))).toEqual([
		false,
		false,
		true,
	]);
});
