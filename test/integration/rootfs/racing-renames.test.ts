import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import {
	closeSync,
	existsSync,
	lstatSync,
	mkdirSync,
	openSync,
	readdirSync,
	readFileSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { isBuildError } from '../../../src/errors.js';
import { type Libc, loadLibc } from '../../../src/linux/libc.js';
import { libcWithoutKoffi } from '../../../src/linux/without-koffi.js';
import { removeTree } from '../../../src/remove-tree.js';
import { ROOT, type RootPath, rawPath } from '../../../src/root-path.js';
import { type Diff, diffUpper } from '../../../src/rootfs/diff.js';
import type { BaseTree } from '../../../src/rootfs/merge.js';
import { withTree } from '../../../src/rootfs/open-tree.js';
import { packLayer } from '../../../src/rootfs/pack.js';
import { packArtifacts } from '../../../src/rootfs/pack-artifacts.js';
import { sameBytes } from '../../../src/rootfs/same-bytes.js';
import { scanChanges, stampTree } from '../../../src/rootfs/stamps.js';
import { diskUse } from '../../../src/rootfs/stored-layers.js';
import { readOpenFile, scanUnread } from '../../../src/rootfs/upper.js';
import { temporaryDirectory } from '../../support/fs.js';

const SCHEDULES = 1000;
const SECRET = 'of the host';
const RACER = fileURLToPath(new URL('./racer.mjs', import.meta.url));
const NEVER = new AbortController().signal;
const ALL_IDS = { uids: 2 ** 32, gids: 2 ** 32 };
const NEW: BaseTree = new Map();
/** Names that also are outside. */
const DIRECTORIES = ['a', 'b', 'c', 'a/x', 'b/x', 'a/x/deep', 'b/x/deep'];

interface Scene {
	readonly root: string;
	readonly original: string;
	readonly output: string;
	readonly libc: Libc;
}

function fill(directory: string, text: string): void {
	for (const path of ['', ...DIRECTORIES]) {
		mkdirSync(join(directory, path), { recursive: true });
		for (const name of ['file', 'other']) writeFileSync(join(directory, path, name), text);
	}
}

/** Everything there, with what a change of it changes. */
function picture(directory: string): readonly string[] {
	return readdirSync(directory, { recursive: true, encoding: 'utf8' })
		.sort()
		.map((name) => {
			const { mode, uid, ctimeMs, nlink } = lstatSync(join(directory, name));
			return [name, mode, uid, ctimeMs, nlink].join(' ');
		});
}

async function pack(diff: Pick<Diff, 'changes' | 'declare'>, { root, output, libc }: Scene): Promise<void> {
	const file = openSync(output, 'w');
	const declare = (path: RootPath, fd: number) => diff.declare(readOpenFile(path, fd, libc));
	try {
		const options = { epoch: 1, progress: () => undefined, declare, libc };
		await packLayer(diff.changes, rawPath(root), file, options, NEVER);
	} finally {
		closeSync(file);
	}
}

function diffOf(found: Parameters<typeof diffUpper>[0], base: BaseTree, { root, original, libc }: Scene): Diff {
	return withTree(rawPath(root), libc, (tree) =>
		diffUpper(found, {
			base,
			ids: ALL_IDS,
			assembleUser: { uid: 0, gid: 0 },
			sameContent: (path) => sameBytes(tree, path, rawPath(join(original, path))),
			scaffolding: new Set(),
		}),
	);
}

/** The base declares all that the tree had, so that bytes are compared. */
function baseOf({ root, libc }: Scene): BaseTree {
	const found = scanUnread(rawPath(root), new Set(), libc, () => false);
	const { changes } = diffUpper(found, {
		base: NEW,
		ids: ALL_IDS,
		assembleUser: { uid: 0, gid: 0 },
		sameContent: () => false,
		scaffolding: new Set(),
	});
	return new Map(
		changes.flatMap((change) =>
			change.type === 'put' ? [[change.path, { entry: change.entry, layer: 0 }] as const] : [],
		),
	);
}

type Prepare = (scene: Scene) => () => unknown;

/** What a build does to a tree that assemble could write to; each is prepared before the race and done during it. */
const WALKS: Readonly<Record<string, Prepare>> = {
	'an overlay, all new': (scene) => () => {
		const found = scanUnread(rawPath(scene.root), new Set(), scene.libc, (path) => path !== ROOT);
		return pack(diffOf(found, NEW, scene), scene);
	},
	'an overlay, compared': (scene) => {
		const base = baseOf(scene);
		return () => {
			const found = scanUnread(rawPath(scene.root), new Set(), scene.libc, () => false);
			return pack(diffOf(found, base, scene), scene);
		};
	},
	'a copy': (scene) => {
		const walk = { root: rawPath(scene.root), skip: new Set<RootPath>() };
		const stamps = stampTree(walk, scene.libc);
		return () => pack(diffOf(scanChanges(walk, stamps, scene.libc), NEW, scene), scene);
	},
	artifacts: (scene) => async () => {
		removeTree(rawPath(scene.output));
		await packArtifacts(rawPath(scene.root), scene.output, scene.libc, NEVER);
	},
	'the store': (scene) => () => diskUse(rawPath(scene.root), scene.libc),
	removal: (scene) => () => {
		try {
			removeTree(rawPath(scene.root));
		} catch (error) {
			// What is made meanwhile may stay.
			if (!/ENOTEMPTY|ENOTDIR|ELOOP|EISDIR/.test(String(error))) throw error;
		}
	},
};

/** Lets the racer go on for a moment between the calls of a walk, wherever `seed` says. */
function slowed(libc: Libc, seed: number): Libc {
	const clock = new Int32Array(new SharedArrayBuffer(4));
	let state = seed;
	const after = <Args extends readonly unknown[], T>(call: (...args: Args) => T) => {
		return (...args: Args): T => {
			state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
			if (state % 7 === 0) Atomics.wait(clock, 0, 0, 1);
			return call(...args);
		};
	};
	const { openBeneath, listXattrs, listOpenXattrs } = libc;
	return {
		...libc,
		openBeneath: after(openBeneath),
		listXattrs: after(listXattrs),
		listOpenXattrs: after(listOpenXattrs),
	};
}

const NAMED_WALKS = Object.entries(WALKS) as [[string, Prepare], ...[string, Prepare][]];

async function tell(racer: ChildProcess, seed: number | undefined): Promise<void> {
	const answered = once(racer, 'message');
	racer.send({ seed });
	await answered;
}

/** How it ended: `done`, or the code of the error that a user would see. */
async function outcomeOf(walk: () => unknown): Promise<string> {
	try {
		await walk();
		return 'done';
	} catch (error) {
		if (!isBuildError(error)) throw error;
		return error.code;
	}
}

function makeScene(directory: string, libc: Libc): Scene {
	const [tree, outside, original] = [join(directory, 'tree'), join(directory, 'outside'), join(directory, 'original')];
	fill(original, 'inside');
	for (const name of existsSync(tree) ? readdirSync(tree) : []) removeTree(rawPath(join(tree, name)));
	mkdirSync(join(tree, 'links'), { recursive: true });
	for (const path of DIRECTORIES) {
		symlinkSync(join(outside, path), join(tree, 'links', path.replaceAll('/', '-')));
	}
	const scene = { root: join(tree, 'root'), original, output: join(directory, 'layer'), libc };
	fill(scene.root, 'inside');
	writeFileSync(scene.output, '');
	return scene;
}

function layerOf({ output }: Scene, outcome: string): Buffer {
	const layer = readFileSync(output);
	return outcome === 'done' && layer.length > 0 ? gunzipSync(layer) : layer;
}

test('no rename meanwhile changes anything outside, or brings it into the layer', { timeout: 600_000 }, async () => {
	using directory = temporaryDirectory();
	const outside = join(directory.path, 'outside');
	const libc = await loadLibc();
	if (libc === undefined) throw new Error('koffi is needed');
	const plain = { ...libc, openBeneath: libcWithoutKoffi(directory.path).openBeneath };
	fill(outside, SECRET);
	const before = picture(outside);
	const { root } = makeScene(directory.path, libc);
	const racer = fork(RACER, [root, outside, join(directory.path, 'tree/links')], {
		stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
	});
	await once(racer, 'message');
	const done = new Set<string>();
	try {
		for (let seed = 0; seed < SCHEDULES; seed++) {
			const scene = makeScene(directory.path, slowed(seed % 5 === 0 ? plain : libc, seed));
			const [name, prepare] = NAMED_WALKS[seed % NAMED_WALKS.length] ?? NAMED_WALKS[0];
			const walk = prepare(scene);
			await tell(racer, seed + 1);
			const outcome = await outcomeOf(walk).finally(() => tell(racer, undefined));
			if (outcome === 'done') done.add(name);
			expect(layerOf(scene, outcome).includes(SECRET), `seed ${seed}, ${name}`).toBe(false);
			expect(picture(outside), `seed ${seed}, ${name}`).toEqual(before);
		}
	} finally {
		racer.disconnect();
	}
	expect(done.size).toBe(NAMED_WALKS.length);
});
