import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatLayerIndex, parseLayerIndex } from '../../../src/rootfs/layer-index.js';
import type { LayerEntry } from '../../../src/rootfs/tree.js';
import { anyLayer, at, directory, file, type LayerRow, special, symlink, WHITEOUT } from '../../support/tree.js';

const xattrs = new Map([['security.capability', Buffer.from([0, 255, 10])]]);
const each: readonly LayerEntry[] = [
	file(2 ** 40, { xattrs, uid: 0xfffffffe }),
	file(1, { linkOf: at('a/b') }),
	file(1, { linkOf: at('a/b'), xattrs }),
	directory({ implicit: true }),
	directory({ opaque: true, mtime: -1.5 }),
	directory({ implicit: true, opaque: true, xattrs }),
	symlink('\u00ff\u0001/../x'),
	special('character', 1, 3),
	special('block', 8, 0),
	special('fifo'),
	WHITEOUT,
];

describe('the index of a layer', () => {
	test('reads back every kind of entry', () => {
		const entries = each.map((entry, index): LayerRow => [at(`p${index}\u00e4"\n`), entry]);
		const index = { entries, lostXattrs: ['user.a'] };
		expect(parseLayerIndex([...formatLayerIndex(index)].join(''))).toEqual(index);
	});

	test('reads back what it wrote', () => {
		const anyIndex = fc.record({ entries: anyLayer, lostXattrs: fc.array(fc.string(), { maxLength: 2 }) });
		fc.assert(
			fc.property(anyIndex, (index) => {
				expect(parseLayerIndex([...formatLayerIndex(index)].join(''))).toEqual(index);
			}),
		);
	});

	test.each(['', '{', '[]', 'null', '{"format":2,"lostXattrs":[],"entries":[]}', '{"format":1,"entries":[]}'])(
		'is undefined for %j, so that the layer is unpacked again',
		(text) => {
			expect(parseLayerIndex(text)).toBeUndefined();
		},
	);

	test('is undefined when an entry is of a kind that nobody knows, or the text was cut', () => {
		const text = [...formatLayerIndex({ entries: [[at('a'), file()]], lostXattrs: [] })].join('');
		expect(parseLayerIndex(text.replace('["a",0', '["a",99'))).toBeUndefined();
		for (let length = 0; length < text.length - 1; length++) {
			expect(parseLayerIndex(text.slice(0, length)), `cut after ${length}`).toBeUndefined();
		}
	});
});

test('a large index comes in parts, none of which is much more than one row', () => {
	const value = Buffer.alloc(500_000);
	const entries = Array.from(
		{ length: 20 },
		(_, index) => [at(`f${index}`), { ...file(), xattrs: new Map([['user.x', value]]) }] as const,
	);
	const parts = [...formatLayerIndex({ entries, lostXattrs: [] })];
	expect(parts.length).toBeGreaterThan(8);
	expect(parseLayerIndex(parts.join(''))?.entries).toHaveLength(20);
});
