import { chmodSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { listTree } from '../../support/fs.js';
import { makeSource } from '../../support/tiny.js';
import { emptyDirectory, plainSource, sclorgImage, write } from './request.js';

/** A directory of a checkout with a link at `path`, and what of the user it leads to. */
function checkout(path: string, target: 'directory' | 'file') {
	const at = (name: string) => join(directory, name);
	const directory = emptyDirectory();
	mkdirSync(at('home/.ssh'), { recursive: true });
	writeFileSync(at('home/.ssh/authorized_keys'), 'ours\n');
	chmodSync(at('home/.ssh'), 0o700);
	mkdirSync(dirname(at(`deploy/${path}`)), { recursive: true });
	symlinkSync(at(target === 'file' ? 'home/.ssh/authorized_keys' : 'home/.ssh'), at(`deploy/${path}`));
	return { home: at('home'), output: `${at('deploy')}/` };
}

const LINKS = [
	['Dockerfile', 'file'],
	['upload', 'directory'],
	['upload/.made-by-s2oci', 'file'],
	['upload/src', 'directory'],
	['upload/scripts', 'directory'],
	['upload/injections', 'directory'],
	['upload/build-environment', 'file'],
] as const;

describe.each(LINKS)('a link that a checkout has as %s', (path, target) => {
	test.each([
		['--as-dockerfile', true],
		['generate', false],
	])('leads %s nowhere', async (_command, hasSource) => {
		const { home, output } = checkout(path, target);
		const before = listTree(home);
		const builder = await sclorgImage();
		const scriptsUrl = `file://${makeSource({ assemble: '#!/bin/sh\n', run: '#!/bin/sh\n' })}`;
		await expect(
			write({ builder, output, scriptsUrl, ...(hasSource && { source: plainSource() }) }),
		).rejects.toMatchObject({ code: 'OUTPUT_FAILED', message: expect.stringContaining('is a link') as string });
		expect(listTree(home)).toEqual(before);
	});
});

test('a link in place of a script is replaced, not written through', async () => {
	const { home, output } = checkout('upload/scripts/assemble', 'file');
	const before = listTree(home);
	const scriptsUrl = `file://${makeSource({ assemble: '#!/bin/sh\n', run: '#!/bin/sh\n' })}`;
	await write({ builder: await sclorgImage(), output, scriptsUrl });
	expect(listTree(home)).toEqual(before);
	expect(lstatSync(join(output, 'upload/scripts/assemble')).isFile()).toBe(true);
	expect(statSync(join(output, 'upload/src')).mode & 0o777).toBe(0o755);
	expect(readFileSync(join(output, 'Dockerfile'), 'utf8')).toContain('FROM ');
});
