import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { PrunedStore, StoreListing } from '../../src/pipeline/store/stored-layers.js';
import { build, s2oci, startS2oci } from '../support/build.js';
import { leftovers, makeWorkspace, requireUser, type UserName, until, type Workspace } from '../support/host.js';
import { assembleSource, TINY_APP, tinyLayout, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const LAYERS = 4;
const WEEK_MS = 7 * 86_400_000;
const builder = (): string => `oci:${tinyLayout()}:latest`;

async function ask<T>(workspace: Workspace, ...args: readonly string[]): Promise<T> {
	const { status, stdout, stderr } = await s2oci(workspace, [...args, '--json']);
	expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
	return JSON.parse(stdout) as T;
}

const list = (workspace: Workspace): Promise<StoreListing> => ask(workspace, 'store');
const prune = (workspace: Workspace, ...args: readonly string[]): Promise<PrunedStore> =>
	ask(workspace, 'prune', ...args);

/** Makes all layers but the `fresh` most recently used ones a month old. */
async function age(workspace: Workspace, fresh = 0): Promise<void> {
	const { layers } = await list(workspace);
	const then = new Date(Date.now() - 4 * WEEK_MS);
	for (const { path } of layers.slice(fresh)) utimesSync(join(workspace.store, path), then, then);
}

/** What the layers take on disk, as du has it; only root sees it all. */
function diskUse({ store }: Workspace): number {
	return Number(execFileSync('du', ['-s', '-B1', join(store, 'layers-1')], { encoding: 'utf8' }).split('\t')[0]);
}

const users: readonly UserName[] = ['root', 's2oci-subuid', 's2oci-plain'];

for (const name of users) {
	describe(`the store of ${name}`, () => {
		test('is listed with sizes, last use and the images that need its layers', async (context) => {
			const workspace = makeWorkspace(requireUser(context, name));
			const registry = await tinyRegistry();
			const began = Date.now() - 60_000;
			await build(workspace, [TINY_APP, `${registry.host}/builders/tiny`, '--copy']);
			const listing = await list(workspace);
			expect(listing.layers).toHaveLength(LAYERS);
			for (const layer of listing.layers) {
				expect(layer).toMatchObject({ held: false, images: [`${registry.host}/builders/tiny:latest`] });
				expect(layer.lastUsed).toBeGreaterThan(began);
			}
			const bytes = listing.layers.reduce((sum, layer) => sum + layer.bytes, 0);
			const directories = 2 * 4096;
			expect(Math.abs(diskUse(workspace) - bytes)).toBeLessThanOrEqual(directories);
			expect(listing.bytes).toBeGreaterThanOrEqual(bytes);
			expect(listing.images).toMatchObject([{ name: `${registry.host}/builders/tiny:latest` }]);
		});

		test('is emptied by --all, files of other ids included, and a build fills it again', async (context) => {
			const workspace = makeWorkspace(requireUser(context, name));
			const first = await build(workspace, [TINY_APP, builder(), '--copy']);
			expect((await prune(workspace, '--all', '--dry-run')).removed).toHaveLength(LAYERS);
			expect((await list(workspace)).layers).toHaveLength(LAYERS);
			expect(await prune(workspace, '--all')).toMatchObject({ kept: [], held: [], foreign: [] });
			expect((await list(workspace)).layers).toEqual([]);
			expect(diskUse(workspace)).toBeLessThanOrEqual(3 * 4096);
			expect(await leftovers(workspace)).toEqual([]);
			const second = await build(workspace, [TINY_APP, builder(), '--copy']);
			expect(second.stdout).toBe(first.stdout);
		});
	});
}

describe('what is removed', () => {
	test('by default is what was not used for a week; a build counts as a use of all its layers', async () => {
		const workspace = makeWorkspace();
		await build(workspace, [TINY_APP, builder(), '--copy']);
		await age(workspace, 1);
		expect((await prune(workspace)).removed).toHaveLength(LAYERS - 1);
		await build(workspace, [TINY_APP, builder(), '--copy']);
		await age(workspace);
		await build(workspace, [TINY_APP, builder(), '--copy']);
		expect((await prune(workspace)).removed).toEqual([]);
	});

	test('with --keep-bytes is the least recently used, until it fits', async () => {
		const workspace = makeWorkspace();
		await build(workspace, [TINY_APP, builder(), '--copy']);
		await age(workspace, 2);
		const { layers } = await list(workspace);
		const keep = layers.slice(0, 2).reduce((sum, { bytes }) => sum + bytes, 0);
		const { removed, kept } = await prune(workspace, '--keep-bytes', String(keep));
		expect(new Set(removed.map(({ path }) => path))).toEqual(new Set(layers.slice(2).map(({ path }) => path)));
		expect(kept).toHaveLength(2);
		expect((await prune(workspace, '--keep-bytes', '5G')).removed).toEqual([]);
	});

	test('includes what a killed build left', async () => {
		const workspace = makeWorkspace();
		const running = startS2oci(workspace, ['build', assembleSource('sleep 60'), builder()]);
		await until('assemble', () => running.stderr().includes('assemble'));
		running.child.kill('SIGKILL');
		await running.finished;
		await prune(workspace);
		expect(await leftovers(workspace, 10_000)).toEqual([]);
	});

	test('is told to people with the sum', async () => {
		const workspace = makeWorkspace();
		await build(workspace, [TINY_APP, builder(), '--copy']);
		const { stdout } = await s2oci(workspace, ['prune', '--all']);
		expect(stdout).toMatch(/^(?:removed sha256:\w+ .+\n){4}removed [\d.]+ MB in 4 layers; kept 0 B in 0\n$/);
		expect((await s2oci(workspace, ['store'])).stdout).toMatch(/^store \/.+\n(?:.+\n)*total [\d.]+ k?B\n$/);
	});
});

describe('a running build', () => {
	test('keeps its layers, and they are shown as used', async () => {
		const workspace = makeWorkspace();
		const go = mkdtempSync(join(workspace.root, 'go-'));
		chmodSync(go, 0o755);
		const script = 'echo begun; until [ -e /go/on ]; do sleep 0.1; done; cat /etc/passwd';
		const volume = ['--volume', `${go}:/go`];
		const running = startS2oci(workspace, ['build', assembleSource(script), builder(), ...volume]);
		await until('assemble', () => running.stderr().includes('begun'));
		expect((await list(workspace)).layers.map(({ held }) => held)).toEqual([true, true, true, true]);
		const { removed, held } = await prune(workspace, '--all');
		expect(removed).toEqual([]);
		expect(held).toHaveLength(LAYERS);
		writeFileSync(join(go, 'on'), '');
		expect(await running.finished).toMatchObject({ status: 0 });
		expect((await prune(workspace, '--all')).removed).toHaveLength(LAYERS);
	});

	test('succeeds while others prune everything again and again', async () => {
		const workspace = makeWorkspace();
		const done = new AbortController();
		const pruning = (async () => {
			while (!done.signal.aborted) await prune(workspace, '--all');
		})();
		const builds = Array.from({ length: 5 }, async (_, index) => {
			const output = [
				'--output',
				`oci:${workspace.root}/image-${index}`,
				'--result-file',
				`${workspace.root}/${index}.json`,
			];
			const ends: (number | null)[] = [];
			for (let round = 0; round < 3; round++) {
				const { status, stderr } = await s2oci(workspace, ['build', TINY_APP, builder(), '--copy', ...output]);
				ends.push(status);
				if (status !== 0) throw new Error(stderr);
			}
			return ends;
		});
		const ends = await Promise.all(builds).finally(() => done.abort());
		await pruning;
		expect(ends.flat()).toEqual(Array.from({ length: 15 }, () => 0));
		expect(await leftovers(workspace)).toEqual([]);
	});
});

test('a store is looked after without namespaces, too', async (context) => {
	const user = requireUser(context, 's2oci-plain');
	const workspace = makeWorkspace(user);
	await build(workspace, [TINY_APP, builder(), '--copy']);
	// The kernel gives nobody in a chroot a user namespace.
	const chroot = `mkdir ${workspace.root}/host && mount --rbind / ${workspace.root}/host && exec chroot ${workspace.root}/host "$@"`;
	const wrapper = ['unshare', '--mount', 'sh', '-c', chroot, 'sh'];
	const { status, stdout, stderr } = await s2oci(workspace, ['prune', '--all', '--json'], { wrapper });
	expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
	expect((JSON.parse(stdout) as PrunedStore).removed).toHaveLength(LAYERS);
	expect((await list(workspace)).layers).toEqual([]);
});

test('a store that does not exist is empty, and is not made', async () => {
	const workspace = makeWorkspace();
	expect(await list(workspace)).toMatchObject({ layers: [], bytes: 0 });
	expect(await prune(workspace, '--all')).toMatchObject({ removed: [] });
	expect(() => execFileSync('ls', [workspace.store], { stdio: 'ignore' })).toThrow(/ls/);
});

test.each([
	[['prune', '--all', '--keep-bytes', '1G'], '--all spares nothing'],
	[['prune', '--older-than', 'yesterday'], '--older-than does not take "yesterday"'],
	[['prune', '--keep-bytes', '5 apples'], '--keep-bytes does not take "5 apples"'],
])('%j is a usage error', async (args, message) => {
	const { status, stderr } = await s2oci(makeWorkspace(), args);
	expect(status).toBe(2);
	expect(stderr).toContain(message);
});
