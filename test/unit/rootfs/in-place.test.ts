import {
	chmodSync,
	existsSync,
	linkSync,
	mkdirSync,
	renameSync,
	rmSync,
	statSync,
	symlinkSync,
	utimesSync,
	writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { libcWithoutKoffi } from '../../../src/linux/without-koffi.js';
import { type RootPath, rawPath } from '../../../src/root-path.js';
import { openInPlace } from '../../../src/rootfs/in-place.js';
import { temporaryDirectory } from '../../support/fs.js';

interface Scene extends Disposable {
	readonly at: (path: string) => string;
	/** What `change` changed, as `type path`, sorted; `*` marks what the base may own. */
	readonly changed: (
		change: () => void,
		placed?: Parameters<ReturnType<typeof openInPlace>['stamp']>[0],
		skip?: readonly string[],
	) => readonly string[];
}

/** Of `files`, the image has those that are not among `brought`. */
function openScene(files: readonly string[], foreign: readonly string[] = [], brought: readonly string[] = []): Scene {
	const directory = temporaryDirectory();
	const [root, scratch] = ['root', 'scratch'].map((name) => join(directory.path, name)) as [string, string];
	for (const path of [root, scratch]) mkdirSync(path);
	const at = (path: string) => join(root, path);
	for (const path of files) {
		mkdirSync(join(at(path), '..'), { recursive: true });
		writeFileSync(at(path), path);
	}
	const paths = new Set(foreign as readonly RootPath[]);
	const isDeclared = (path: string) => !brought.includes(path);
	const libc = libcWithoutKoffi(scratch);
	const isImages = () => false;
	const live = openInPlace({ foreign: () => paths, scratch, libc, isDeclared, isImages, root: rawPath(root) });
	return {
		at,
		changed: (change, placed = [], skip = []) => {
			live.stamp(placed);
			change();
			const found = live.scan(new Set(skip as readonly RootPath[]));
			return found.map(({ type, path, copiedUp }) => `${type} ${path}${copiedUp ? ' *' : ''}`).sort();
		},
		[Symbol.dispose]: () => directory[Symbol.dispose](),
	};
}

const kept = (path: string, keep = true) => ({ path: path as RootPath, keep });

describe('the changes of a live root filesystem', () => {
	test('are none when nothing was done', () => {
		using scene = openScene(['a', 'b/c']);
		expect(scene.changed(() => undefined)).toEqual([]);
	});

	test('are what is new, written, chmodded, renamed, linked and gone, with the directories that it is in', () => {
		using scene = openScene(['written', 'mode', 'dir/old', 'dir/gone', 'linked', 'same/file']);
		const { at } = scene;
		const found = scene.changed(() => {
			writeFileSync(at('written'), 'x');
			chmodSync(at('mode'), 0o600);
			renameSync(at('dir/old'), at('dir/new'));
			linkSync(at('linked'), at('linked-too'));
			symlinkSync('a', at('link'));
			rmSync(at('dir/gone'));
		});
		expect(found).toEqual([
			...['directory  *', 'directory dir *', 'file dir/new *', 'file linked *', 'file linked-too *'],
			...['file mode *', 'file written *', 'symlink link', 'whiteout dir/gone', 'whiteout dir/old'],
		]);
	});

	test('include an edit that keeps size and time', () => {
		using scene = openScene(['file']);
		const { atime, mtime } = statSync(scene.at('file'));
		const found = scene.changed(() => {
			writeFileSync(scene.at('file'), 'elif');
			utimesSync(scene.at('file'), atime, mtime);
		});
		expect(found).toEqual(['file file *']);
	});

	test('are not looked for in mounts and folders of the runner, even when these vanish', () => {
		using scene = openScene(['mount/a', 'runner/b', 'c'], ['mount', 'runner']);
		const found = scene.changed(() => {
			writeFileSync(scene.at('mount/new'), 'x');
			rmSync(scene.at('runner'), { recursive: true });
			writeFileSync(scene.at('c'), 'x');
		});
		expect(found.filter((line) => !line.startsWith('directory'))).toEqual(['file c *']);
	});

	test('have what was placed to be kept as new, on a mount as well, and nothing else that was placed', () => {
		using scene = openScene(['mount/scripts/run', 'mount/src/a', 'opt/scripts/run', 'mount/other'], ['mount']);
		const placed = [kept('mount/scripts'), kept('mount/src', false), kept('opt/scripts')];
		expect(scene.changed(() => undefined, placed, ['mount/src'])).toEqual([
			...['directory mount/scripts', 'directory opt/scripts', 'file mount/scripts/run', 'file opt/scripts/run'],
		]);
	});

	test('say of a directory that a file took the place of that all below is gone', () => {
		using scene = openScene(['dir/a', 'dir/b/c']);
		const found = scene.changed(() => {
			rmSync(scene.at('dir'), { recursive: true });
			writeFileSync(scene.at('dir'), 'x');
		});
		expect(found.filter((line) => line.startsWith('file'))).toHaveLength(1);
		expect(existsSync(scene.at('dir/b'))).toBe(false);
	});
});
