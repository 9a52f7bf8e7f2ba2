import { chmodSync, chownSync, lchownSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { exchangeable, refuseExchangeable } from '../../../src/host/store-place.js';
import { temporaryDirectory } from '../../support/fs.js';
import { requireRoot } from '../../support/host.js';

beforeEach((context) => requireRoot(context));

/** Whether a user other than root could exchange `store` in a directory of root, once `make` made something there. */
function judge(store: string, make: (at: (path: string) => string) => void): string | undefined {
	using directory = temporaryDirectory();
	chmodSync(directory.path, 0o755);
	const at = (path: string) => join(directory.path, path);
	make(at);
	return exchangeable(at(store))?.replaceAll(directory.path, '');
}

const make = (path: string, mode: number, uid = 0, gid = 0) => {
	mkdirSync(path, { recursive: true });
	chmodSync(path, mode);
	chownSync(path, uid, gid);
};

describe('what another user could exchange', () => {
	test.each<[string, string, (at: (path: string) => string) => void, string]>([
		['its directory', 'a/store', (at) => make(at('a'), 0o755, 1001), '"/a" belongs to user 1001'],
		['one above', 'a/b/c/store', (at) => make(at('a'), 0o700, 1001), '"/a" belongs to user 1001'],
		[
			'it, in one that all may write',
			'a/store',
			(at) => make(at('a'), 0o777),
			'users other than root may rename in "/a"',
		],
		[
			'it, in one of a group',
			'a/store',
			(at) => make(at('a'), 0o775, 0, 7),
			'users other than root may rename in "/a"',
		],
		[
			'it, being its owner, for all the sticky bit says',
			'a/b/store',
			(at) => {
				make(at('a'), 0o1777);
				make(at('a/b'), 0o755, 1001);
			},
			'what is next in "/a" belongs to user 1001',
		],
		[
			'a link on the way',
			'a/link/store',
			(at) => {
				make(at('a'), 0o777);
				make(at('b'), 0o755);
				symlinkSync('../b', at('a/link'));
			},
			'users other than root may rename in "/a"',
		],
		[
			'where a link leads',
			'link/store',
			(at) => {
				make(at('a/b'), 0o755);
				make(at('a'), 0o777);
				symlinkSync('a/b/../b', at('link'));
			},
			'users other than root may rename in "/a"',
		],
		[
			'a link of its own',
			'a/link/store',
			(at) => {
				make(at('a'), 0o1777);
				make(at('b'), 0o755);
				symlinkSync(at('b'), at('a/link'));
				lchownSync(at('a/link'), 1001, 1001);
			},
			'what is next in "/a" belongs to user 1001',
		],
	])('is %s', (_what, store, prepare, reason) => {
		expect(judge(store, prepare)).toBe(reason);
	});

	test.each<[string, (at: (path: string) => string) => void]>([
		['may be written by root only', (at) => make(at('a/b'), 0o755)],
		['has the sticky bit', (at) => make(at('a'), 0o1777)],
		['is not there', () => undefined],
		[
			'is a link that never ends',
			(at) => {
				make(at('a'), 0o755);
				symlinkSync('b', at('a/b'));
			},
		],
	])('is not that, where a directory %s', (_what, prepare) => {
		expect(judge('a/b/store', prepare)).toBeUndefined();
	});

	test('is refused with what is wrong, where, and what to do', () => {
		using directory = temporaryDirectory();
		chmodSync(directory.path, 0o777);
		expect(() => refuseExchangeable(join(directory.path, 'store'))).toThrow(
			expect.objectContaining({
				code: 'HOST_STORE',
				message: `the store ${directory.path}/store cannot be trusted in place: users other than root may rename in "${directory.path}"`,
				hint: expect.stringContaining('--store DIR or S2OCI_STORE') as string,
			}) as Error,
		);
	});
});
