import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadLibc } from '../../../src/linux/libc.js';
import { rawPath } from '../../../src/root-path.js';
import { type TarMember, tarDirectory, tarFile, tarHardLink, tarOf, tarSymlink } from '../../support/tar.js';
import { owner, scene } from './artifact-scene.js';

const of = (...members: readonly TarMember[]): Buffer => tarOf(members);

describe('artifacts', () => {
	test('keep files, directories, links, modes and times, and belong to the assemble user', async () => {
		using here = scene();
		const result = await here.extract(
			of(
				tarDirectory('./', { mode: 0o755 }),
				tarDirectory('modules', { mode: 0o2775, mtime: 1000 }),
				tarFile('modules/a', 'content', { mode: 0o664, mtime: 2000, uid: 7, gid: 7 }),
				tarHardLink('modules/b', './modules/a'),
				tarDirectory('modules/.bin', { mode: 0o700, mtime: 3000 }),
				tarSymlink('modules/.bin/tool', '../a', { mtime: 4000 }),
				tarSymlink('venv-python', '/usr/bin/python3'),
				tarSymlink('up', '../../x'),
			),
		);
		expect(result).toEqual({ entries: 8, bytes: 7, notices: [] });
		const [file, directory] = [statSync(here.at('modules/a')), statSync(here.at('modules'))];
		expect([file.mode & 0o7777, file.mtimeMs, file.nlink]).toEqual([0o664, 2_000_000, 2]);
		expect([directory.mode & 0o7777, directory.mtimeMs]).toEqual([0o2775, 1_000_000]);
		expect(readFileSync(here.at('modules/b'), 'utf8')).toBe('content');
		expect(lstatSync(here.at('modules/.bin/tool')).mtimeMs).toBe(4_000_000);
		expect(['modules/.bin/tool', 'venv-python', 'up'].map((name) => readlinkSync(here.at(name)))).toEqual([
			'../a',
			'/usr/bin/python3',
			'../../x',
		]);
		for (const name of ['', 'modules', 'modules/a', 'venv-python']) {
			expect(lstatSync(here.at(name)), name).toMatchObject({ uid: owner.uid, gid: owner.gid });
		}
	});

	test('have their modes whatever the umask takes from group and others, and it stays as it was', async () => {
		using here = scene();
		const before = process.umask(0o022);
		try {
			await here.extract(of(tarFile('a/b', 'x', { mode: 0o666 })));
			expect(process.umask(0o022)).toBe(0o022);
		} finally {
			process.umask(before);
		}
		expect([statSync(here.at('a/b')).mode & 0o777, statSync(here.at('a')).mode & 0o777]).toEqual([0o666, 0o755]);
	});

	test('may be in directories that are closed to their owner, as the module cache of Go is', async () => {
		using here = scene();
		await here.extract(
			of(
				tarDirectory('mod', { mode: 0o555, mtime: 1000 }),
				tarDirectory('mod/inner', { mode: 0o555 }),
				tarFile('mod/inner/a', 'content', { mode: 0o444 }),
				tarDirectory('closed', { mode: 0 }),
				tarFile('closed/b', 'content'),
			),
		);
		const modes = ['mod', 'mod/inner', 'closed'].map((name) => statSync(here.at(name)).mode & 0o7777);
		expect(modes).toEqual([0o555, 0o555, 0]);
		expect(statSync(here.at('mod')).mtimeMs).toBe(1_000_000);
		expect(readFileSync(here.at('mod/inner/a'), 'utf8')).toBe('content');
	});

	test.each([
		['nothing at all', Buffer.alloc(0)],
		['two zero blocks', Buffer.alloc(1024)],
		['an archive of nothing and padding', Buffer.concat([of(), Buffer.alloc(9216)])],
	])('are none when the stream is %s', async (_what, stream) => {
		using here = scene();
		expect(await here.extract(stream)).toEqual({ entries: 0, bytes: 0, notices: [] });
	});

	test('come from a gzip stream, too', async () => {
		using here = scene();
		expect(await here.extract(gzipSync(of(tarFile('a', 'x'))))).toMatchObject({ entries: 1 });
	});

	test('come from an archive with more zeros after its end than tar writes', async () => {
		using here = scene();
		const stream = Buffer.concat([of(tarFile('a', 'x')), Buffer.alloc(100_000)]);
		expect(await here.extract(stream)).toMatchObject({ entries: 1, notices: [] });
	});

	test('of equal names are the last ones', async () => {
		using here = scene();
		await here.extract(
			of(
				tarFile('a', 'first'),
				tarFile('a', 'second'),
				tarDirectory('d'),
				tarFile('d/x'),
				tarFile('d', 'now a file'),
				tarFile('f'),
				tarDirectory('f'),
				tarSymlink('l', 'a'),
				tarFile('l', 'no link'),
			),
		);
		expect(['a', 'd', 'l'].map((name) => readFileSync(here.at(name), 'utf8'))).toEqual([
			'second',
			'now a file',
			'no link',
		]);
		expect(lstatSync(here.at('f')).isDirectory()).toBe(true);
	});

	test('have no setuid bits and no extended attributes', async () => {
		using here = scene();
		const pax = { 'SCHILY.xattr.security.capability': 'x', 'SCHILY.xattr.user.a': 'x' };
		await here.extract(of(tarFile('su', 'x', { mode: 0o6755, pax })));
		expect(statSync(here.at('su')).mode & 0o7777).toBe(0o755);
		expect((await loadLibc())?.listXattrs(rawPath(here.at('su'))).size ?? 0).toBe(0);
	});
});

describe('hostile artifacts', () => {
	const kinds: readonly (readonly [string, (name: string) => TarMember])[] = [
		['file', (name) => tarFile(name, 'evil', { mode: 0o777 })],
		['directory', (name) => tarDirectory(name, { mode: 0o777, mtime: 5 })],
		['symlink', (name) => tarSymlink(name, '/')],
		['hard link', (name) => tarHardLink(name, 'honest')],
	];
	const parents: readonly (readonly [string, readonly TarMember[], string])[] = [
		['an absolute link', [tarSymlink('out', 'HOST')], 'out'],
		['a relative link', [tarSymlink('out', '../host')], 'out'],
		['a link in two steps', [tarDirectory('d'), tarSymlink('d/p', '..'), tarSymlink('e', 'd/p/../host')], 'e'],
		['a directory that became a link', [tarDirectory('out'), tarFile('out/x'), tarSymlink('out', 'HOST')], 'out'],
		['a hard link to a link', [tarSymlink('l', 'HOST'), tarHardLink('out', 'l')], 'out'],
	];
	for (const [what, kind] of kinds) {
		test.each(parents)(`a ${what} below %s is left out`, async (_name, members, directory) => {
			using here = scene();
			const aim = (member: TarMember) => ({
				...member,
				...(member.link !== undefined && { link: member.link.replace('HOST', here.host) }),
			});
			const result = await here.extract(of(tarFile('honest'), ...members.map(aim), kind(`${directory}/probe`)));
			expect(result.notices).toEqual([expect.stringContaining('is below a link of the same archive')]);
			expect(existsSync(here.at('honest'))).toBe(true);
		});
	}

	test.each(['../host/probe', '../rootX', 'a/../../host/probe', 'a/..', '..', 'x'.repeat(256), 'd/'.repeat(2100)])(
		'an entry named %s is left out with a notice, and the others are not',
		async (name) => {
			using here = scene();
			const result = await here.extract(of(tarFile('x', 'evil', { pax: { path: name } }), tarFile('good', 'y')));
			expect(result).toMatchObject({ entries: 1, bytes: 1 });
			expect(result.notices[0]).toContain('leads out of the artifacts');
			expect(readdirSync(here.root)).toEqual(['good']);
		},
	);

	test('an absolute name is below the artifacts', async () => {
		using here = scene();
		await here.extract(of(tarFile('/etc/new', 'x')));
		expect(existsSync(here.at('etc/new'))).toBe(true);
	});

	test.each(['../host/probe', 'missing', 'd', 'l/x', 'HOST/probe'])('a hard link to %s is left out', async (target) => {
		using here = scene();
		const link = target.replace('HOST', here.host);
		const members = [tarDirectory('d'), tarSymlink('l', '../host'), tarHardLink('x', link), tarFile('y')];
		const result = await here.extract(of(...members));
		expect(result.notices).toEqual([expect.stringContaining('hard link')]);
		expect([existsSync(here.at('x')), existsSync(here.at('y'))]).toEqual([false, true]);
	});

	test.each(['3', '4', '6'])('a special file of type %s is left out', async (flag) => {
		using here = scene();
		const result = await here.extract(of({ name: 'null', flag, device: [1, 3] }, tarFile('y')));
		expect(result.notices).toEqual([expect.stringContaining('"null" is left out')]);
		expect(readdirSync(here.root)).toEqual(['y']);
	});

	test('the root is not replaced', async () => {
		using here = scene();
		const members = ['.', './', '/'].map((name) => tarSymlink(name, here.host));
		const result = await here.extract(of(...members, tarFile('probe', 'x')));
		expect(result).toMatchObject({ entries: 1 });
		expect(result.notices).toHaveLength(3);
	});

	test('many entries left out take few notices', async () => {
		using here = scene();
		const { notices } = await here.extract(of(...Array.from({ length: 30 }, (_, n) => tarFile(`../${n}`))));
		expect(notices).toHaveLength(6);
		expect(notices.at(-1)).toBe('and 25 more of this kind');
	});

	test('nothing escapes by any sequence of names and links', async () => {
		const name = fc
			.array(fc.constantFrom('a', 'b', '..', '.', ''), { minLength: 1, maxLength: 4 })
			.map((p) => p.join('/'));
		const member = fc
			.tuple(fc.constantFrom('0', '1', '2', '5'), name, fc.oneof(name, fc.constantFrom('/', '../host', '/../../host')))
			.map(([flag, path, link]): TarMember => ({ name: path, flag, link, body: flag === '0' ? 'evil' : '' }));
		await fc.assert(
			fc.asyncProperty(fc.array(member, { maxLength: 8 }), async (members) => {
				using here = scene();
				const { entries } = await here.extract(of(...members));
				expect(entries).toBeLessThanOrEqual(members.length);
			}),
			{ numRuns: 150 },
		);
	});
});
