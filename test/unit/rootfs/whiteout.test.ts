import { describe, expect, test } from 'vitest';
import { latin1Path } from '../../../src/root-path.js';
import { parseWhiteout, whiteoutOf } from '../../../src/rootfs/whiteout.js';
import { at } from '../../support/tree.js';

describe('the names of whiteouts', () => {
	test.each([
		['etc/.wh.passwd', { type: 'whiteout', name: 'passwd' }],
		['.wh.passwd', { type: 'whiteout', name: 'passwd' }],
		['./.wh.a', { type: 'whiteout', name: 'a' }],
		['d/.wh.dir/', { type: 'whiteout', name: 'dir' }],
		['d/.wh....', { type: 'whiteout', name: '...' }],
		['d/.wh.wh.x', { type: 'whiteout', name: 'wh.x' }],
		['d/.wh..wh..opq', { type: 'opaque' }],
		['.wh..wh..opq/', { type: 'opaque' }],
		['.wh..wh.plnk', { type: 'ignored' }],
		['.wh..wh.aufs', { type: 'ignored' }],
	])('%s is one', (path, wanted) => {
		expect(parseWhiteout(latin1Path(path))).toEqual(wanted);
	});

	test.each(['etc/passwd', '.wh', 'a.wh.b', '.whx', '.wh.d/file', 'd/.WH.a', ''])('%s is none', (path) => {
		expect(parseWhiteout(latin1Path(path))).toBeUndefined();
	});

	test.each(['.wh.', 'd/.wh.', 'd/.wh./', '.wh..', 'd/.wh...'])('%s, which names no file, is refused', (path) => {
		expect(() => parseWhiteout(latin1Path(path))).toThrow(expect.objectContaining({ code: 'LAYER_UNSAFE' }) as Error);
	});

	test.each(['a', 'd/a', 'd/.hidden', 'd/...'])('removing %s gives a name that is read back', (path) => {
		const name = path.slice(path.lastIndexOf('/') + 1);
		expect(parseWhiteout(whiteoutOf(at(path)))).toEqual({ type: 'whiteout', name });
	});
});
