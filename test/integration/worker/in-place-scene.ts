import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { libcWithoutKoffi } from '../../../src/linux/without-koffi.js';
import { type Digest, digestOf } from '../../../src/oci/digest.js';
import type { WorkerCalls } from '../../../src/protocol/worker-calls.js';
import { ROOT, rawPath } from '../../../src/root-path.js';
import { openDigestDisk, writeLayerDigests } from '../../../src/rootfs/layer-digests.js';
import { openLayerStore, writeUnpackedLayer } from '../../../src/rootfs/layer-store.js';
import { unpackLayer } from '../../../src/rootfs/unpack.js';
import { openInPlaceRoot } from '../../../src/worker/in-place.js';
import type { RootFilesystem } from '../../../src/worker/root-filesystem.js';
import { temporaryDirectory } from '../../support/fs.js';
import { type TarMember, tarDirectory, tarFile, tarOf } from '../../support/tar.js';
import { readTar } from '../../unit/tar/entries.js';
import { EPOCH } from './session.js';

const signal = new AbortController().signal;
export const USER = { uid: 1001, gid: 0 };
/** What the image has. */
export const BASE: readonly TarMember[] = [
	...['etc', 'opt', 'opt/app', 'usr', 'usr/s2i', 'tmp'].map((name) => tarDirectory(name)),
	tarFile('etc/os-release', 'NAME=test\n'),
	tarFile('etc/passwd', 'root:x:0:0::/:/bin/sh\n'),
	tarFile('usr/s2i/assemble', '#!/bin/sh\n', { mode: 0o755 }),
	tarFile('opt/app/base', 'base\n', { uid: 70 }),
	tarFile('opt/runner', 'runner\n'),
];

/** An image in a live root directory, and the job's part in it. */
export interface Scene extends Disposable {
	readonly at: (path: string) => string;
	/** What people were told. */
	readonly notices: readonly string[];
	readonly adopt: (more?: Partial<WorkerCalls['adopt']['request']>) => Promise<number>;
	readonly mount: (diffIds?: readonly Digest[]) => RootFilesystem;
	/** A placement of a directory with one file. */
	readonly placement: (destination: string, keep?: boolean) => WorkerCalls['prepare']['request']['placements'][number];
	/** The layer of what is changed now, one line an entry; `meanwhile` is done once that was found. */
	readonly layerOf: (
		root: RootFilesystem,
		excluded?: readonly string[],
		meanwhile?: () => void,
	) => Promise<readonly string[]>;
}

/** A root directory that holds an image of one layer, whose index is in a store. */
export async function openScene(
	members: readonly TarMember[] = BASE,
	{ ids = { uids: 1, gids: 1 } } = {},
): Promise<Scene> {
	const directory = temporaryDirectory();
	const inside = (name: string) => join(directory.path, name);
	for (const name of ['root', 'scratch', 'layer']) mkdirSync(inside(name));
	const tar = tarOf(members);
	writeFileSync(inside('layer.tar'), tar);
	execFileSync('tar', ['-x', '-p', '-f', inside('layer.tar'), '-C', inside('root')]);
	const { disk, digests } = openDigestDisk();
	async function* chunks() {
		yield await Promise.resolve(tar);
	}
	const options = { root: ROOT, ids: { uids: 1, gids: 1 }, libc: undefined, whiteouts: true, maxBytes: 2 ** 20, disk };
	writeUnpackedLayer(inside('layer'), await unpackLayer(chunks(), options, signal));
	writeLayerDigests(inside('layer'), digests);
	const layers = openLayerStore(inside('store'));
	const diffIds = [digestOf(tar)];
	layers.publish(digestOf(tar), inside('layer'));
	const [root, scratch] = [inside('root'), inside('scratch')];
	const libc = libcWithoutKoffi(scratch);
	const notices: string[] = [];
	const notice = (message: string) => void notices.push(message);
	const live = openInPlaceRoot({ layers, scratch, libc, ids, notice, root: rawPath(root) });
	let count = 0;
	return {
		at: (path) => join(root, path),
		notices,
		adopt: (more) =>
			live.adopt({ diffIds, files: [], skip: [], tools: [], store: '/store', storeParents: [], ...more }, signal),
		mount: (wanted = diffIds) => live.mount(wanted, signal),
		placement: (destination, keep = false) => {
			const source = inside(`source-${count++}`);
			mkdirSync(source);
			writeFileSync(join(source, 'file'), 'placed\n');
			return { source, destination, owner: USER, keep };
		},
		layerOf: async (mounted, excluded = [], meanwhile = () => undefined) => {
			mounted.diff({ root: 'builder', assembleUser: USER, excluded });
			meanwhile();
			const output = inside(`packed-${count++}`);
			await mounted.pack({ root: 'builder', epoch: EPOCH, output }, () => undefined, signal);
			return readTar([gunzipSync(readFileSync(output))]).map(({ entry: { type, path, uid, mode } }) =>
				[type, path, uid, mode.toString(8)].join(' '),
			);
		},
		[Symbol.dispose]: () => directory[Symbol.dispose](),
	};
}

/** A request to prepare nothing but WORKDIR. */
export const preparing = (
	more: Partial<WorkerCalls['prepare']['request']> = {},
): WorkerCalls['prepare']['request'] => ({
	...{ root: 'builder', placements: [], binds: [], workingDir: '/opt/app' },
	...more,
});
