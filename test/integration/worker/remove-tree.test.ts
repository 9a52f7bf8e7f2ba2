import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
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

	test('deeper than a path can name leaves nothing of it', async () => {
		using directory = temporaryDirectory();
		const root = join(directory.path, 'tree');
		const name = 'd'.repeat(100);
		const deep = `mkdir ${root} && cd ${root} && i=0 && while [ $i -lt 100 ]; do mkdir ${name} && cd -P ${name} && i=$((i+1)); done; : > file`;
		execFileSync('sh', ['-c', deep]);
		await removeLargeTree(rawPath(root));
		expect(existsSync(root)).toBe(false);
	});

	test('removes a link itself, not what it leads to', async () => {
		using directory = temporaryDirectory();
		mkdirSync(join(directory.path, 'outside'));
		writeFileSync(join(directory.path, 'outside/kept'), '');
		symlinkSync(join(directory.path, 'outside'), join(directory.path, 'link'));
		await removeLargeTree(rawPath(join(directory.path, 'link')));
		expect([existsSync(join(directory.path, 'link')), existsSync(join(directory.path, 'outside/kept'))]).toEqual([
			false,
			true,
		]);
	});

	test('whose directories are exchanged for links meanwhile loses nothing outside', async () => {
		using directory = temporaryDirectory();
		const [root, outside] = [join(directory.path, 'tree'), join(directory.path, 'outside')];
		mkdirSync(outside);
		for (let number = 0; number < 200; number++) writeFileSync(join(outside, `f${String(number)}`), '');
		for (let round = 0; round < 20; round++) {
			mkdirSync(root);
			symlinkSync(outside, join(root, 'link'));
			for (let number = 0; number < 5; number++) {
				mkdirSync(join(root, `d${String(number)}`));
				for (let file = 0; file < 200; file++) writeFileSync(join(root, `d${String(number)}`, `f${String(file)}`), '');
			}
			const swap = `import { renameSync } from 'node:fs';
				const [root] = process.argv.slice(1);
				for (let i = 0; i < 2000; i++) for (let d = 0; d < 5; d++) {
					try {
						renameSync(root + '/d' + d, root + '/aside' + d); renameSync(root + '/link', root + '/d' + d);
						renameSync(root + '/d' + d, root + '/link'); renameSync(root + '/aside' + d, root + '/d' + d);
					} catch {}
				}`;
			const racing = spawn(process.execPath, ['--input-type=module', '--eval', swap, root], { stdio: 'ignore' });
			const ended = once(racing, 'exit');
			await delay(20 + round * 5);
			await removeLargeTree(rawPath(root)).catch(() => undefined);
			racing.kill('SIGKILL');
			await ended;
			await removeLargeTree(rawPath(root));
			expect(readdirSync(outside)).toHaveLength(200);
		}
	});

	test('that is not there, or is a file, is no error', async () => {
		using directory = temporaryDirectory();
		await expect(removeLargeTree(rawPath(join(directory.path, 'missing')))).resolves.toBeUndefined();
		writeFileSync(join(directory.path, 'file'), '');
		await removeLargeTree(rawPath(join(directory.path, 'file')));
		expect(existsSync(join(directory.path, 'file'))).toBe(false);
	});
});
