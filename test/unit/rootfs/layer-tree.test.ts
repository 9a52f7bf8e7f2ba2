import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isBuildError } from '../../../src/errors.js';
import { latin1Path, type RootPath } from '../../../src/root-path.js';
import { createLayerTree, type LayerTree } from '../../../src/rootfs/layer-tree.js';
import { directory, file, symlink, WHITEOUT } from '../../support/tree.js';

const unsafe = expect.objectContaining({ code: 'LAYER_UNSAFE' }) as Error;

/** A layer that holds the given symlinks. */
function treeWith(links: Readonly<Record<string, string>>): LayerTree {
	const tree = createLayerTree();
	for (const [name, target] of Object.entries(links)) tree.set(tree.place(latin1Path(name)).path, symlink(target));
	return tree;
}

const part = fc.constantFrom('a', 'b', 'c', '..', '.', '', 'd');
const names = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'));
const entries = fc.oneof(
	names.map((target) => symlink(target)),
	names.map((target) => symlink(`/${target}`)),
	fc.constantFrom(file(), directory(), WHITEOUT),
);
const steps = fc.array(fc.tuple(names, entries), { maxLength: 14 });

test('names that lead through endless directories by links are refused in time', () => {
	const links = Array.from({ length: 38 }, (_, index) => [`l${index}`, `${'d/../'.repeat(810)}l${index + 1}`] as const);
	const tree = treeWith({ ...Object.fromEntries(links), l38: 'd' });
	tree.place(latin1Path('d/x'));
	const began = performance.now();
	expect(() => {
		for (let index = 0; index < 100_000; index += 1) tree.place(latin1Path(`l0/${index % 2}/f${index}`));
	}).toThrow(unsafe);
	expect(performance.now() - began).toBeLessThan(15_000);
});

test('many names through an honest link are placed', () => {
	const tree = treeWith({ lib: 'usr/lib' });
	for (let index = 0; index < 100_000; index += 1) tree.place(latin1Path(`lib/${index % 7}/f`));
});

describe('the place of a layer’s entry', () => {
	test.each([
		['a', 'a'],
		['./a/b', 'a/b'],
		['/etc//passwd/', 'etc/passwd'],
		['', ''],
		['/', ''],
		['./', ''],
		['/.', ''],
		['a\\..\\..\\b', 'a\\..\\..\\b'],
		['a/.../b', 'a/.../b'],
	])('of %j is %j', (name, path) => {
		expect(createLayerTree().place(latin1Path(name)).path).toBe(path);
	});

	test.each(['..', '../a', 'a/..', 'a/../../b', '/..', 'a//..//..//b', './..'])(
		'is refused for %j, which leads out (CVE-2018-1103)',
		(name) => {
			expect(() => createLayerTree().place(latin1Path(name))).toThrow(unsafe);
			expect(() => createLayerTree().find(latin1Path(name))).toThrow(unsafe);
		},
	);

	test.each([
		['a NUL byte', 'a\0b'],
		['a part of 256 bytes', `a/${'x'.repeat(256)}`],
		['more than 4095 bytes', 'x/'.repeat(2100)],
	])('is refused for a name with %s', (_what, name) => {
		expect(() => createLayerTree().place(latin1Path(name))).toThrow(unsafe);
	});

	test('may be as deep as a path is long, but not deeper by links', () => {
		const tree = treeWith({ link: 'd/'.repeat(1500) });
		const { path, missing } = tree.place(latin1Path(`${'d/'.repeat(2047)}f`));
		expect([path.length, missing.length]).toEqual([4095, 2047]);
		tree.set(path, file());
		expect([...tree.entries()]).toHaveLength(2050);
		expect(tree.count()).toBe(2050);
		expect(tree.directories()).toHaveLength(2048);
		expect(() => tree.place(latin1Path(`link/${'e/'.repeat(1000)}f`))).toThrow(unsafe);
	});

	test.each([
		['an absolute link', { etc: '/tmp/probe' }, 'etc/x', 'tmp/probe/x'],
		['a link up and out', { etc: '../../../tmp' }, 'etc/x', 'tmp/x'],
		['a link to the root', { etc: '/' }, 'etc/x', 'x'],
		['two steps up', { 'd/p': '..', 'd/p/e': '..' }, 'd/p/e/x', 'x'],
		['a link through a link', { a: 'b', b: 'c' }, 'a/x', 'c/x'],
		['a link in the middle', { 'a/b': '../c' }, 'a/b/d/x', 'c/d/x'],
	])('follows %s inside the root (CVE-2020-27833, CVE-2026-42574)', (_what, links, name, path) => {
		expect(treeWith(links).place(latin1Path(name)).path).toBe(path);
	});

	test('never follows the last part', () => {
		const tree = treeWith({ etc: '/tmp' });
		expect(tree.place(latin1Path('etc'))).toMatchObject({ path: 'etc', existing: { type: 'symlink' } });
		expect(tree.place(latin1Path('etc/')).path).toBe('etc');
	});

	test('is refused when links never end', () => {
		expect(() => treeWith({ a: 'b', b: 'a' }).place(latin1Path('a/x'))).toThrow(unsafe);
		expect(() => treeWith({ a: 'a/a' }).place(latin1Path('a/x'))).toThrow(unsafe);
	});

	test('names the parents that are missing, outermost first, and only once', () => {
		const tree = createLayerTree();
		expect(tree.place(latin1Path('a/b/c')).missing).toEqual(['a', 'a/b']);
		expect(tree.place(latin1Path('a/b/c')).missing).toEqual([]);
	});

	test('replaces a file by a directory where something is put below it', () => {
		const tree = createLayerTree();
		tree.set(tree.place(latin1Path('a')).path, file());
		expect(tree.place(latin1Path('a/b')).missing).toEqual(['a']);
		expect(tree.find(latin1Path('a'))).toMatchObject({ entry: { type: 'directory', implicit: true } });
	});

	test('hides the layers below in a directory that stands where a whiteout stood', () => {
		const tree = createLayerTree();
		tree.set(tree.place(latin1Path('a')).path, WHITEOUT);
		tree.place(latin1Path('a/b'));
		expect(tree.find(latin1Path('a'))).toMatchObject({ entry: { type: 'directory', opaque: true } });
	});

	test('is always a normal path whose parents are directories, whatever names and links came before', () => {
		fc.assert(
			fc.property(steps, (taken) => {
				const tree = createLayerTree();
				for (const [name, value] of taken) {
					try {
						const placed = tree.place(latin1Path(name));
						const parts = placed.path === '' ? [] : placed.path.split('/');
						for (const each of parts) expect(['', '.', '..']).not.toContain(each);
						if (parts.length > 0) tree.set(placed.path, value);
					} catch (error) {
						expect(isBuildError(error, 'LAYER_UNSAFE')).toBe(true);
					}
				}
				const entries = new Map(tree.entries());
				for (const each of entries.keys()) {
					const parent = each.slice(0, Math.max(0, each.lastIndexOf('/')));
					expect(entries.get(parent as typeof each)?.type).toBe('directory');
				}
			}),
			{ numRuns: 1000 },
		);
	});

	test('is the same whatever was placed just before', () => {
		const outcome = (tree: LayerTree, name: string): unknown => {
			try {
				return tree.place(latin1Path(name));
			} catch (error) {
				return isBuildError(error) ? error.message : error;
			}
		};
		fc.assert(
			fc.property(steps, (taken) => {
				const [one, other] = [treeWith({ elsewhere: 'x' }), treeWith({ elsewhere: 'x' })];
				for (const tree of [one, other]) tree.place(latin1Path('far/away'));
				for (const [name, value] of taken) {
					other.place(latin1Path('far/away'));
					const placed = outcome(one, name);
					expect(outcome(other, name)).toEqual(placed);
					const { path } = placed as { readonly path?: RootPath };
					if (path === undefined || path === '') continue;
					other.place(latin1Path('far/away'));
					for (const tree of [one, other]) tree.set(path, value);
					other.place(latin1Path('far/away'));
					expect(one.get(path)).toEqual(other.get(path));
				}
				expect([...one.entries()]).toEqual([...other.entries()]);
			}),
			{ numRuns: 2000 },
		);
	});
});

test('the entries of a layer come in byte order of their paths', () => {
	const name = fc.string({ unit: fc.constantFrom('a', 'b', '-', '.', '0', '!', '\u00ff'), minLength: 1, maxLength: 3 });
	const wanted = name.filter((each) => each !== '.' && each !== '..');
	const paths = fc.array(fc.array(wanted, { minLength: 1, maxLength: 4 }), { maxLength: 30 });
	fc.assert(
		fc.property(paths, (taken) => {
			const tree = createLayerTree();
			for (const parts of taken) tree.set(tree.place(latin1Path(parts.join('/'))).path, file());
			const found = [...tree.entries()].map(([path]) => path);
			const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1'));
			expect(found).toEqual(found.toSorted(byBytes));
			expect(new Set(found).size).toBe(found.length);
			expect(tree.count()).toBe(found.length);
			const directories = [...tree.entries()].filter(([, { type }]) => type === 'directory');
			expect(new Map(tree.directories())).toEqual(new Map(directories));
		}),
		{ numRuns: 2000 },
	);
});
