import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lookUpTree } from '../../../src/rootfs/base-tree.js';
import { formatLayerIndex } from '../../../src/rootfs/layer-index.js';
import { createRowTable, openLayerLookup } from '../../../src/rootfs/layer-lookup.js';
import { mergeLayers } from '../../../src/rootfs/merge.js';
import {
	anyLayer,
	at,
	directory,
	file,
	IMPLICIT,
	type LayerRow,
	layer,
	symlink,
	WHITEOUT,
} from '../../support/tree.js';

/** The text of an index, and its table, as they are on disk. */
function written(entries: readonly LayerRow[]): readonly [Buffer, Uint8Array] {
	const table = createRowTable(entries.length);
	const text = Buffer.from([...formatLayerIndex({ entries, lostXattrs: ['user.\u00e4'] }, table.add)].join(''));
	return [text, table.finish(text.length)];
}

function opened(entries: readonly LayerRow[]) {
	const lookup = openLayerLookup(...written(entries));
	if (lookup === undefined) throw new Error('the table is not understood');
	return lookup;
}

function treeOf(layers: readonly (readonly LayerRow[])[]) {
	return lookUpTree(layers.map(opened), () => mergeLayers(layers));
}

describe('a tree that is looked up path by path', () => {
	test('is the merged tree, whatever the layers', () => {
		const law = (layers: readonly (readonly LayerRow[])[]) => {
			const [merged, tree] = [mergeLayers(layers), treeOf(layers)];
			const paths = new Set([...layers.flatMap((rows) => rows.map(([path]) => path)), at('nowhere'), at('a/nowhere')]);
			for (const path of [...paths].reverse()) {
				expect(tree.get(path), path).toEqual(merged.get(path));
				expect(tree.has(path)).toBe(merged.has(path));
			}
			expect([...tree.keys()]).toEqual([...merged.keys()]);
		};
		fc.assert(fc.property(fc.array(anyLayer, { maxLength: 4 }), law), { numRuns: 1000 });
	});

	test.each<[string, Readonly<Record<string, ReturnType<typeof file> | typeof WHITEOUT>>[]]>([
		['a file below what became a link', [{ d: directory(), 'd/a': file(1) }, { d: symlink('x') }]],
		['what is below a whiteout', [{ d: directory(), 'd/a': file(1) }, { d: WHITEOUT }, { d: directory() }]],
		['an implied directory over a file', [{ d: file(1) }, { d: IMPLICIT, 'd/a': file(2) }, { d: IMPLICIT }]],
		['an implied directory over a declared one', [{ d: directory({ uid: 7 }) }, { d: IMPLICIT, 'd/a': file(2) }]],
		['a root that hides all below', [{ a: file(1) }, { '': directory({ opaque: true }) }]],
	])('knows %s', (_what, shapes) => {
		const layers = shapes.map((shape) => layer(shape));
		const [merged, tree] = [mergeLayers(layers), treeOf(layers)];
		for (const path of ['', 'd', 'd/a', 'a'].map(at)) expect(tree.get(path), path).toEqual(merged.get(path));
	});
});

describe('the table of an index', () => {
	const rows = layer({ d: directory(), 'd/\u00e4"\n': file(3), s: symlink('\u00ff') });

	test('finds each row, whatever is in a name, and nothing else', () => {
		const { find } = opened(rows);
		for (const [path, entry] of rows) expect(find(path)).toEqual(entry);
		expect(find(at('d/x'))).toBeUndefined();
		expect(opened([]).find(at('d'))).toBeUndefined();
	});

	test('is understood at any place in memory', () => {
		const [text, table] = written(rows);
		const moved = Buffer.concat([Buffer.from('x'), table]).subarray(1);
		expect(openLayerLookup(text, moved)?.find(at('d'))).toEqual(directory());
	});

	test('is none for another text, when it is cut, or of another version', () => {
		const [text, table] = written(rows);
		expect(openLayerLookup(Buffer.concat([text, Buffer.from(' ')]), table)).toBeUndefined();
		for (let length = 0; length < table.length; length++)
			expect(openLayerLookup(text, table.slice(0, length)), `cut after ${length}`).toBeUndefined();
		expect(openLayerLookup(text, table.with(3, 9))).toBeUndefined();
	});

	test('that has no free slot ends a search', () => {
		const [text, table] = written(rows);
		expect(() =>
			openLayerLookup(
				text,
				table.map((byte, at) => (at < 16 ? byte : 1)),
			)?.find(at('d')),
		).toThrow(/no free slot/);
	});

	test('is none where paths collide, however many there are', () => {
		// Equal paths are what every hash function makes collide.
		const many = Array.from({ length: 200_000 }, (): LayerRow => [at('a'), file(1)]);
		expect(openLayerLookup(...written(many))).toBeUndefined();
	});

	test('of many paths is one', () => {
		const many = Array.from({ length: 300_000 }, (_, number): LayerRow => [at(`usr/lib/${number}`), file(number)]);
		expect(opened(many).find(at('usr/lib/299999'))).toEqual(file(299_999));
	});
});
