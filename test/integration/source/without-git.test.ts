import {
	chmodSync,
	lstatSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	renameSync,
	symlinkSync,
	utimesSync,
	writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readCommitObject } from '../../../src/source/git-objects.js';
import { commit, fetch, git, makeRepository, temporaryDirectory } from './repository.js';

const WITHOUT = { env: { PATH: '/nonexistent' } };
const NOTICE = 'git is not installed: the directory is copied as it is, with what is not committed';

/** Its commits have so much in common that git packs most of them as deltas. */
function repositoryOfDeltas(format: string): string {
	const repository = temporaryDirectory();
	git(repository, 'init', '--quiet', `--object-format=${format}`);
	const words = Array.from({ length: 400 }, (_none, index) => `line ${index} of a long message`).join('\n');
	for (let index = 0; index < 12; index += 1) {
		commit(repository, { 'app.js': String(index) }, `Subject ${index}\n\n${words}\n${index}`);
	}
	git(repository, 'repack', '-adfq', '--depth=50', '--window=50');
	git(repository, 'prune-packed');
	return repository;
}

describe('a working tree where git is not installed', () => {
	test('has the files, modes, times and links of a checkout when all is committed', async () => {
		const repository = makeRepository({ 'app.js': 'one', 'bin/run': '#!/bin/sh\n' });
		chmodSync(join(repository, 'bin/run'), 0o755);
		symlinkSync('../app.js', join(repository, 'bin/link'));
		symlinkSync('/etc/hostname', join(repository, 'outside'));
		commit(repository, {}, 'Second');
		for (const [name, mode] of [
			['app.js', 0o600],
			['bin', 0o2775],
			['bin/run', 0o700],
		] as const) {
			chmodSync(join(repository, name), mode);
		}
		utimesSync(join(repository, 'app.js'), 1, 1);
		const began = Date.now() - 1000;
		const [checkedOut, copied] = [await fetch(repository), await fetch(repository, WITHOUT)];
		const seen = ({ path }: { readonly path: string }) =>
			(readdirSync(path, { recursive: true }) as string[]).sort().map((name) => {
				const { mode, mtimeMs } = lstatSync(join(path, name));
				return { name, mode, isNew: mtimeMs >= began };
			});
		expect(seen(copied)).toEqual(seen(checkedOut));
		expect(copied.info).toEqual(checkedOut.info);
		expect(copied.notices).toEqual([NOTICE]);
	});

	test('below --context-dir has the commit too', async () => {
		const repository = makeRepository({ 'app/app.js': 'one' });
		const [checkedOut, copied] = [
			await fetch(repository, { contextDir: 'app' }),
			await fetch(repository, { ...WITHOUT, contextDir: 'app' }),
		];
		expect(copied.info).toEqual(checkedOut.info);
		expect(readdirSync(copied.path)).toEqual(['app.js']);
	});

	const KINDS: Readonly<Record<string, (path: string) => string>> = {
		'a detached HEAD': (path) => {
			git(path, 'switch', '--quiet', '--detach');
			return path;
		},
		'a worktree': (path) => {
			const other = join(temporaryDirectory(), 'other');
			git(path, 'worktree', 'add', '--quiet', '-b', 'feature/x', other);
			return other;
		},
		'a ref that names another': (path) => {
			git(path, 'symbolic-ref', 'refs/heads/alias', 'refs/heads/main');
			git(path, 'symbolic-ref', 'HEAD', 'refs/heads/alias');
			return path;
		},
		'packed refs and objects': (path) => {
			git(path, 'gc', '--quiet');
			git(path, 'pack-refs', '--all');
			return path;
		},
	};
	test.each(Object.entries(KINDS))('says of %s what git says', async (_what, change) => {
		const repository = change(makeRepository({ 'app.js': 'one' }));
		expect((await fetch(repository, WITHOUT)).info).toEqual((await fetch(repository)).info);
	});

	const LOST: Readonly<Record<string, (path: string) => void>> = {
		'is damaged': (path) => {
			const id = git(path, 'rev-parse', 'HEAD');
			const object = join(path, '.git/objects', id.slice(0, 2), id.slice(2));
			chmodSync(object, 0o644);
			writeFileSync(object, deflateSync('commit 5\0other'));
		},
		'has a ref that no file can have': (path) => writeFileSync(join(path, '.git/HEAD'), 'ref: refs/heads/a\0b\n'),
		'has a ref that is too long': (path) =>
			writeFileSync(join(path, '.git/HEAD'), `ref: refs/heads/${'a'.repeat(300)}\n`),
		'names no commit': (path) => writeFileSync(join(path, '.git/HEAD'), 'ref: refs/../../outside\n'),
		'borrows its objects': (path) => {
			const lender = join(temporaryDirectory(), 'objects');
			renameSync(join(path, '.git/objects'), lender);
			mkdirSync(join(path, '.git/objects/info'), { recursive: true });
			writeFileSync(join(path, '.git/objects/info/alternates'), `${lender}\n`);
		},
	};
	test.each(Object.entries(LOST))('is copied without its commit when its repository %s', async (_what, change) => {
		const repository = makeRepository({ 'app.js': 'one' });
		change(repository);
		const { path, info, notices } = await fetch(repository, WITHOUT);
		expect(info.commit).toBeUndefined();
		expect(readdirSync(path)).toEqual(['app.js']);
		expect(notices).toEqual([`${NOTICE}, and the image says nothing of the commit`]);
	});
});

describe('a commit in a pack', () => {
	test.each(['sha1', 'sha256'])('is read as git prints it, whatever deltas it is made of, with %s', async (format) => {
		const repository = repositoryOfDeltas(format);
		const pack = readdirSync(join(repository, '.git/objects/pack')).find((name) => name.endsWith('.idx')) ?? '';
		const chains = git(repository, 'verify-pack', '-v', `.git/objects/pack/${pack}`);
		expect(chains).toMatch(/^[0-9a-f]+ commit \d+ \d+ \d+ [1-9]/m);
		for (const id of git(repository, 'rev-list', '--all').split('\n')) {
			const raw = await readCommitObject(join(repository, '.git/objects'), id);
			expect(raw?.toString('utf8').trim()).toBe(git(repository, 'cat-file', 'commit', id));
		}
	});

	test('whose pack is damaged anywhere is read as it is, or not at all', async () => {
		const repository = repositoryOfDeltas('sha1');
		const id = git(repository, 'rev-parse', 'HEAD~5');
		const packs = join(repository, '.git/objects/pack');
		const files = readdirSync(packs).filter((name) => /\.(?:idx|pack)$/.test(name));
		const whole = await readCommitObject(join(repository, '.git/objects'), id);
		expect(whole).toBeDefined();
		await fc.assert(
			fc.asyncProperty(
				fc.constantFrom(...files),
				fc.double({ min: 0, max: 0.999, noNaN: true }),
				fc.nat(255),
				async (name, at, byte) => {
					const path = join(packs, name);
					const good = readFileSync(path);
					const bad = Buffer.from(good);
					bad[Math.floor(at * bad.length)] = byte;
					chmodSync(path, 0o644);
					writeFileSync(path, bad);
					try {
						expect([whole, undefined]).toContainEqual(await readCommitObject(join(repository, '.git/objects'), id));
					} finally {
						writeFileSync(path, good);
					}
				},
			),
			{ numRuns: 300 },
		);
	});
});
