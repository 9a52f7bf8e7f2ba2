import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadLibc } from '../../../src/linux/libc.js';
import { libcWithoutKoffi } from '../../../src/linux/without-koffi.js';
import { fsPath, latin1Path, ROOT, rawPath, rootPath } from '../../../src/root-path.js';
import { type Opener, type OpenTree, withTree } from '../../../src/rootfs/open-tree.js';
import { temporaryDirectory } from '../../support/fs.js';
import { skipFor } from '../../support/needs.js';

const libc = await loadLibc();
const path = (text: string) => rootPath(rawPath(text));
const read = (tree: OpenTree, name: string) => readFileSync(fsPath(tree.entry(path(name))), 'utf8');

/** A tree in which each file of `names` holds its own path behind `word`. */
function treeOf(root: string, word: string, names: readonly string[]) {
	for (const name of names) {
		mkdirSync(join(root, name, '..'), { recursive: true });
		writeFileSync(join(root, name), `${word} ${name}`);
	}
	return latin1Path(root);
}

test.each<readonly [string, (parent: string) => Opener]>([
	['with koffi', () => libc],
	['without koffi', (parent) => libcWithoutKoffi(parent)],
	['without a libc', () => undefined],
])('trees that are open at once are each themselves, and this process is where it was, %s', (_, openerIn) => {
	using directory = temporaryDirectory();
	const opener = openerIn(directory.path);
	const names = ['top', 'a/one', 'a/b/two', 'ä/three'];
	const [left, right] = ['left', 'right'].map((word) => treeOf(join(directory.path, word), word, names));
	if (left === undefined || right === undefined) throw new Error('there are two');
	const before = process.cwd();
	const seen: string[] = [];
	withTree(left, opener, (one) => {
		withTree(right, opener, (two) => {
			for (const name of names) seen.push(read(one, name), read(two, name), read(one, name));
		});
		seen.push(read(one, 'a/one'), ...readdirSync(fsPath(one.directory(path('a')))).sort());
		expect(lstatSync(fsPath(one.entry(ROOT))).isDirectory()).toBe(true);
	});
	const each = names.flatMap((name) => [`left ${name}`, `right ${name}`, `left ${name}`]);
	expect(seen).toEqual([...each, 'left a/one', 'b', 'one']);
	const failing = () =>
		withTree(left, opener, (tree) => {
			tree.directory(path('a/b'));
			throw new Error('on the way');
		});
	expect(failing).toThrow('on the way');
	expect([process.cwd(), lstatSync('.').ino]).toEqual([before, lstatSync(before).ino]);
});

test('a directory that may be listed but not entered is listed', (context) => {
	skipFor(context, process.getuid?.() === 0 ? undefined : 'only root can become somebody else');
	using directory = temporaryDirectory();
	const root = treeOf(directory.path, 'word', ['a/one', 'b/two']);
	for (const name of ['', 'a', 'b']) chmodSync(join(directory.path, name), 0o755);
	chmodSync(join(directory.path, 'a'), 0o744);
	process.seteuid?.(65534);
	try {
		withTree(root, libc, (tree) => {
			expect(readdirSync(fsPath(tree.directory(path('a'))))).toEqual(['one']);
			expect(() => read(tree, 'a/one')).toThrow('EACCES');
			expect(read(tree, 'b/two')).toBe('word b/two');
		});
	} finally {
		process.seteuid?.(0);
	}
});
