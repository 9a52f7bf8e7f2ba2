import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { rawPath } from '../../../src/root-path.js';
import type * as Module from '../../../src/worker/remove-large-tree.js';
import { temporaryDirectory } from '../../support/fs.js';

// The built one: a thread is started from a file of JavaScript.
const dist = new URL(process.env['S2OCI_TEST_DIST'] ?? '../../../dist/', import.meta.url);
const { removeLargeTree } = (await import(new URL('worker/remove-large-tree.js', dist).href)) as typeof Module;

describe('removing a tree', () => {
	test.each([
		['of a few directories', 3],
		['of so many directories that a second thread helps', 600],
	])('%s leaves nothing of it, and all that its links point to', async (_what, directories) => {
		using directory = temporaryDirectory();
		const [root, outside] = [join(directory.path, 'tree'), join(directory.path, 'outside')];
		writeFileSync(outside, 'kept');
		for (let number = 0; number < directories; number++) {
			const parent = join(root, 'packages', `package-${number}`);
			mkdirSync(join(parent, 'lib'), { recursive: true });
			for (const name of ['a', Buffer.from([0x66, 0xff])]) {
				writeFileSync(Buffer.concat([Buffer.from(`${parent}/lib/`), Buffer.from(name)]), 'x');
			}
			symlinkSync(outside, join(parent, 'link'));
			symlinkSync(directory.path, join(parent, 'directory'));
			mkdirSync(join(parent, 'read-only'), { mode: 0o555 });
		}
		await removeLargeTree(rawPath(root));
		expect(existsSync(root)).toBe(false);
		expect(readFileSync(outside, 'utf8')).toBe('kept');
	});

	test('that is not there, or is a file, is no error', async () => {
		using directory = temporaryDirectory();
		await expect(removeLargeTree(rawPath(join(directory.path, 'missing')))).resolves.toBeUndefined();
		writeFileSync(join(directory.path, 'file'), '');
		await removeLargeTree(rawPath(join(directory.path, 'file')));
		expect(existsSync(join(directory.path, 'file'))).toBe(false);
	});
});
