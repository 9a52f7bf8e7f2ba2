import { appendFileSync, mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { commit, fetch, git, makeRepository } from './repository.js';

const HUGE = 20 * 1024 ** 3;

test.each([
	'.git/HEAD',
	'.git/config',
	'.git/packed-refs',
	'.git/shallow',
	'.git/commondir',
	'.git/index',
	'.git/refs/heads/main',
	'.git/refs/tags/v1',
	'.git/info/exclude',
	'.git/info/attributes',
	'.git/objects/info/alternates',
	'.git/objects/info/commit-graphs/commit-graph-chain',
	'.git',
	'.gitignore',
	'deep/.gitignore',
])('%s with a hole of 20 GB is refused, and nothing reads it', async (name) => {
	const repository = makeRepository({ 'app.js': 'one', 'deep/file': 'two' });
	const path = join(repository, name);
	rmSync(path, { recursive: true, force: true });
	mkdirSync(dirname(path), { recursive: true });
	writeFileSync(path, '');
	truncateSync(path, HUGE);
	const began = performance.now();
	await expect(fetch(repository)).rejects.toMatchObject({
		code: 'SOURCE_INVALID',
		message: expect.stringMatching(/ is larger than | is too large /) as string,
	});
	expect(performance.now() - began).toBeLessThan(10_000);
});

test('alternates are looked at however large their own are', async () => {
	const other = makeRepository({ 'other.js': 'two' });
	const repository = makeRepository({ 'app.js': 'one' });
	const line = `${join(other, '.git/objects')}\n`;
	mkdirSync(join(repository, '.git/objects/info'), { recursive: true });
	const comments = '#\n'.repeat(600_000);
	writeFileSync(join(repository, '.git/objects/info/alternates'), comments + line);
	await expect(fetch(repository)).rejects.toMatchObject({ code: 'SOURCE_INVALID' });
});

test('files that are large for a reason are read', async () => {
	const repository = makeRepository({ 'app.js': 'one', '.gitignore': '# a line\n'.repeat(200_000) });
	const id = commit(repository, { 'app.js': 'two' }, 'Second');
	git(repository, 'tag', 'first');
	git(repository, 'pack-refs', '--all');
	const tags = Array.from({ length: 50_000 }, (_tag, index) => `${id} refs/tags/v${String(index).padStart(6, '0')}\n`);
	appendFileSync(join(repository, '.git/packed-refs'), tags.join(''));
	expect((await fetch(repository)).info.commit).toBe(id);
});
