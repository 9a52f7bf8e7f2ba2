import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { rawPath } from '../../../src/root-path.js';
import { makeDirectories, resolveAll, resolveInRoot } from '../../../src/rootfs/resolve-in-root.js';
import { temporaryDirectory } from '../../support/fs.js';

const refused = expect.objectContaining({ code: 'IMAGE_UNSUPPORTED' }) as Error;

test('a path of an image may have 256 parts, links included', () => {
	using directory = temporaryDirectory();
	const root = rawPath(directory.path);
	expect(makeDirectories(root, rawPath('/a'.repeat(256))).made).toHaveLength(256);
	expect(() => makeDirectories(root, rawPath('/b'.repeat(257)))).toThrow(refused);
	mkdirSync(join(directory.path, 'd'));
	symlinkSync('d/../'.repeat(300), join(directory.path, 'far'));
	symlinkSync('far/'.repeat(30), join(directory.path, 'farther'));
	expect(() => resolveInRoot(root, rawPath('/far/x'))).toThrow(refused);
	expect(() => resolveInRoot(root, rawPath('/farther'))).toThrow(refused);
});

test('what leads through many links costs no more, however many paths there are', () => {
	using directory = temporaryDirectory();
	const root = rawPath(directory.path);
	mkdirSync(join(directory.path, 'd'));
	for (let number = 0; number < 38; number++) {
		symlinkSync(`${'d/../'.repeat(100)}${number === 37 ? 'd' : `l${number + 1}`}`, join(directory.path, `l${number}`));
	}
	const path = (number: number) => rawPath(`/l0/${number}`);
	const few = Array.from({ length: 3 }, (_, number) => path(number));
	expect(resolveAll(root, few)).toEqual(['d/0', 'd/1', 'd/2']);
	const many = Array.from({ length: 1000 }, (_, number) => path(number));
	expect(() => resolveAll(root, many)).toThrow(refused);
});
