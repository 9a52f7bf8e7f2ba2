import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parentOf, ROOT, type RootPath } from '../../../src/root-path.js';
import { hiddenDirectories, mergeLayers, type WholeTree } from '../../../src/rootfs/merge.js';
import type { Entry, LayerEntry } from '../../../src/rootfs/tree.js';
import {
	anyLayer,
	anyTree,
	at,
	directory,
	file,
	IMPLICIT,
	type LayerRow,
	layer,
	symlink,
	WHITEOUT,
} from '../../support/tree.js';

const paths = (tree: WholeTree) => [...tree.keys()].sort();
const entriesOf = (tree: WholeTree): readonly LayerRow[] =>
	[...tree].map(([path, { entry }]): LayerRow => [path, entry]).sort(([a], [b]) => (a < b ? -1 : 1));

/** image-spec v1.1 layer.md, taken literally: first what the layer removes, then what it adds, parents first. */
function applyLiterally(tree: Map<RootPath, Entry>, rows: readonly LayerRow[]): void {
	const below = (path: RootPath) => [...tree.keys()].filter((other) => path === ROOT || other.startsWith(`${path}/`));
	const drop = (dropped: readonly RootPath[]) => dropped.forEach((path) => tree.delete(path));
	const isDirectory = (entry: LayerEntry | undefined) => entry?.type === 'directory';
	for (const [path, entry] of rows) {
		if (entry.type === 'whiteout') drop([path, ...below(path)]);
		else if (entry.type === 'directory' && entry.opaque === true) drop(below(path).filter((other) => other !== path));
	}
	for (const [path, entry] of rows) {
		if (entry.type === 'whiteout') continue;
		const old = tree.get(path);
		if (isDirectory(entry) && isDirectory(old)) {
			if ((entry as { implicit?: boolean }).implicit !== true) tree.set(path, entry);
			continue;
		}
		drop(below(path).filter((other) => other !== path));
		tree.set(path, entry);
	}
}

describe('merging layers', () => {
	const lower = layer({
		d: directory({ uid: 5 }),
		'd/a': file(1),
		'd/e': directory(),
		'd/e/f': file(2),
		s: symlink('d'),
	});

	test.each<[string, Readonly<Record<string, LayerEntry>>, readonly string[]]>([
		['nothing', {}, ['', 'd', 'd/a', 'd/e', 'd/e/f', 's']],
		['a whiteout of a file', { 'd/a': WHITEOUT }, ['', 'd', 'd/e', 'd/e/f', 's']],
		['a whiteout of a directory', { d: WHITEOUT }, ['', 's']],
		['a whiteout of nothing', { 'x/y': WHITEOUT }, ['', 'd', 'd/a', 'd/e', 'd/e/f', 's']],
		['a directory made anew', { d: directory({ opaque: true }), 'd/n': file() }, ['', 'd', 'd/n', 's']],
		['a file in place of a directory', { d: file() }, ['', 'd', 's']],
		['a symlink in place of a directory', { d: symlink('s') }, ['', 'd', 's']],
		[
			'a directory in place of a symlink',
			{ s: directory(), 's/x': file() },
			['', 'd', 'd/a', 'd/e', 'd/e/f', 's', 's/x'],
		],
		['an opaque root', { '': directory({ opaque: true }), n: file() }, ['', 'n']],
	])('with %s', (_what, upper, wanted) => {
		expect(paths(mergeLayers([lower, layer(upper)]))).toEqual(wanted);
	});

	test('an implicit directory shows the attributes of the layer below, a declared one its own', () => {
		const withImplicit = mergeLayers([lower, layer({ d: IMPLICIT, 'd/n': file() })]);
		expect(withImplicit.get(at('d'))).toEqual({ entry: directory({ uid: 5 }), layer: 0 });
		const withDeclared = mergeLayers([lower, layer({ d: directory({ uid: 6 }) })]);
		expect(withDeclared.get(at('d'))).toEqual({ entry: directory({ uid: 6 }), layer: 1 });
	});

	test('an entry remembers the layer that holds its content', () => {
		const merged = mergeLayers([lower, layer({ 'd/a': file(9) }), layer({ n: file() })]);
		expect([merged.get(at('d/a'))?.layer, merged.get(at('d/e/f'))?.layer, merged.get(at('n'))?.layer]).toEqual([
			1, 0, 2,
		]);
	});

	test('hidden directories are those that only the last layer with them implies', () => {
		const layers = [lower, layer({ d: IMPLICIT, n: IMPLICIT }), layer({ n: directory() })];
		expect(hiddenDirectories(layers)).toEqual(['d']);
	});

	test('gives what the specification says, applied literally', () => {
		fc.assert(
			fc.property(fc.array(anyLayer, { maxLength: 4 }), (layers) => {
				const wanted = new Map<RootPath, Entry>();
				for (const rows of layers) applyLiterally(wanted, rows);
				const clean = (entry: Entry) => ({ ...entry, opaque: undefined });
				expect(entriesOf(mergeLayers(layers)).map(([path, entry]) => [path, clean(entry as Entry)])).toEqual(
					[...wanted].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, entry]) => [path, clean(entry)]),
				);
			}),
			{ numRuns: 400 },
		);
	});

	test('never leaves an entry without its directory, nor a whiteout', () => {
		fc.assert(
			fc.property(fc.array(anyLayer, { minLength: 1, maxLength: 4 }), (layers) => {
				const merged = mergeLayers(layers);
				for (const [path, { entry }] of merged) {
					expect(entry.type).not.toBe('whiteout');
					if (path !== ROOT) expect(merged.get(parentOf(path))?.entry.type).toBe('directory');
				}
			}),
		);
	});

	test('can be done in steps', () => {
		fc.assert(
			fc.property(anyTree, anyLayer, anyLayer, (tree, second, third) => {
				const first: readonly LayerRow[] = [...tree];
				const inSteps = mergeLayers([entriesOf(mergeLayers([first, second])), third]);
				expect(entriesOf(inSteps)).toEqual(entriesOf(mergeLayers([first, second, third])));
			}),
		);
	});
});
