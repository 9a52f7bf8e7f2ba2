import {
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	renameSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inodeName } from '../../../src/inode-name.js';
import { type Libc, loadLibc } from '../../../src/linux/libc.js';
import { libcWithoutKoffi } from '../../../src/linux/without-koffi.js';
import type { HostBind } from '../../../src/protocol/host-bind.js';
import { rawPath } from '../../../src/root-path.js';
import { placeBinds } from '../../../src/worker/host-binds.js';
import { openPlacements } from '../../../src/worker/in-place-placements.js';
import { listTree, temporaryDirectory } from '../../support/fs.js';
import { busyboxLayer, openSessions } from './session.js';

const IDS = { uids: 1, gids: 1 };
const OWNER = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const LAYER = busyboxLayer();

/** A volume with a directory that is shown by itself, and what a hostile script would like to see. */
function openScene(directory: string) {
	const at = (name: string) => join(directory, name);
	for (const name of ['volume/outer/inner', 'host/inner', 'volume/other', 'root/opt', 'scratch'])
		mkdirSync(at(name), { recursive: true });
	writeFileSync(at('volume/outer/inner/key'), 'harmless');
	for (const name of ['host/key', 'host/inner/key', 'volume/other/key']) writeFileSync(at(name), 'canary');
	return { at, source: at('volume/outer/inner') };
}

type Scene = ReturnType<typeof openScene>;

/** Something else in place of `path`, which stays beside it. */
function exchange(path: string, put: (path: string) => void): void {
	renameSync(path, `${path}.old`);
	put(path);
}

/** What a script that may write to the volume does after the build has looked at what it is to show. */
const ATTACKS: readonly (readonly [string, (scene: Scene) => void])[] = [
	['a link in its place', ({ at, source }) => exchange(source, (path) => symlinkSync(at('host'), path))],
	[
		'a link in the place of the directory that holds it',
		({ at, source }) => exchange(dirname(source), (path) => symlinkSync(at('host'), path)),
	],
	[
		'another directory in its place',
		({ at, source }) => exchange(source, (path) => renameSync(at('volume/other'), path)),
	],
	['nothing in its place', ({ source }) => exchange(source, () => undefined)],
];

function bindOf(source: string, type: 'copy' | 'itself', destination = '/opt/shown'): HostBind {
	const inode = inodeName(statSync(source, { bigint: true }));
	return { source: { type, path: source, inode }, destination, type: 'directory', readOnly: type === 'copy' };
}

const REFUSED = { code: 'USAGE', message: expect.stringContaining('was moved, or replaced') as string };

describe.each(ATTACKS)('a script that puts %s', (_, attack) => {
	test.each(['copy', 'itself'] as const)('has nothing of the host shown to a process: as %s', async (type) => {
		using sessions = openSessions();
		const scene = openScene(sessions.path);
		const binds = [
			bindOf(scene.at('volume'), 'itself', '/volume'),
			bindOf(scene.source, type),
			bindOf(scene.at('host'), 'itself', '/later'),
		];
		attack(scene);
		const trees = () => ['host', 'volume'].map((name) => listTree(scene.at(name)));
		const before = trees();
		const script = 'cat /opt/shown/key; echo x > /opt/shown/new';
		const { error, stdout, left } = await sessions.run({ layers: [LAYER], script, binds });
		expect(error).toMatchObject(REFUSED);
		expect(stdout).toBe('');
		expect(left).toEqual([]);
		expect(trees()).toEqual(before);
	});

	test.each<[string, (scratch: string) => Libc | undefined | Promise<Libc | undefined>]>([
		['with openat2', () => loadLibc()],
		['without koffi', (scratch) => libcWithoutKoffi(scratch)],
	])('has nothing of the host copied where nothing can be mounted, %s', async (_name, libcOf) => {
		using directory = temporaryDirectory();
		const scene = openScene(directory.path);
		const libc = await libcOf(scene.at('scratch'));
		if (libc === undefined) throw new Error('there is no koffi here');
		const bind = bindOf(scene.source, 'copy');
		attack(scene);
		const root = scene.at('root');
		expect(() => placeBinds(root, [bind], OWNER, { libc, ids: IDS })).toThrow(expect.objectContaining(REFUSED));
		expect(existsSync(join(root, 'opt/shown/key'))).toBe(false);
		const placements = openPlacements(rawPath(root), { libc, ids: IDS, base: new Map() }, new AbortController().signal);
		await expect(placements.show(bind, undefined)).rejects.toMatchObject(REFUSED);
		placements.remove();
		expect(readdirSync(join(root, 'opt'))).toEqual([]);
	});
});

test('a file that the system may replace is shown as it is now, but never through a link', () => {
	using directory = temporaryDirectory();
	const { at, source } = openScene(directory.path);
	const libc = libcWithoutKoffi(at('scratch'));
	const path = join(source, 'key');
	const bind: HostBind = { source: { type: 'copy', path }, destination: '/opt/file', type: 'file', readOnly: true };
	exchange(path, () => writeFileSync(path, 'newer'));
	placeBinds(at('root'), [bind], OWNER, { libc, ids: IDS });
	expect(readFileSync(at('root/opt/file'), 'utf8')).toBe('newer');
	exchange(path, () => symlinkSync(at('host/key'), path));
	expect(() => placeBinds(at('root'), [bind], OWNER, { libc, ids: IDS })).toThrow(expect.objectContaining(REFUSED));
});
