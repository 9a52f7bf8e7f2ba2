import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Libc, loadLibc } from '../../../src/linux/libc.js';
import { digestOf, hexOf } from '../../../src/oci/digest.js';
import { openLayerHold, withHolds } from '../../../src/rootfs/layer-hold.js';
import { chooseLayers, type PrunePolicy, pruneLayers } from '../../../src/rootfs/prune.js';
import { listLayers, type StoredLayer } from '../../../src/rootfs/stored-layers.js';

const HOUR_MS = 3_600_000;
const NEVER = new AbortController().signal;

async function libc(): Promise<Libc> {
	const loaded = await loadLibc();
	if (loaded === undefined) throw new Error('koffi is not here');
	return loaded;
}

/** A store with a layer for each name, the first one used last, an hour apart; and a way to make scratch directories. */
function makeStore(names: readonly string[], mapping = 'none') {
	const store = mkdtempSync(join(tmpdir(), 's2oci-prune-'));
	onTestFinished(() => rmSync(store, { recursive: true, force: true }));
	const paths = names.map((name, index) => {
		const path = join('layers-1', mapping, hexOf(digestOf(Buffer.from(name))));
		mkdirSync(join(store, path, 'fs'), { recursive: true });
		writeFileSync(join(store, path, 'fs', 'file'), name.repeat(5000));
		const used = new Date(Date.now() - index * HOUR_MS);
		utimesSync(join(store, path), used, used);
		return path;
	});
	const makeScratch = (name: string): string => {
		mkdirSync(join(store, 'work', name), { recursive: true });
		return join(store, 'work', name);
	};
	const prune = async (policy: PrunePolicy, dryRun = false) => {
		const context = { store, scratch: makeScratch('pruner'), libc: await libc(), removable: () => true, dryRun };
		return pruneLayers(context, policy, NEVER);
	};
	return { store, paths, makeScratch, prune };
}

const pathsOf = (layers: readonly StoredLayer[]): readonly string[] => layers.map(({ path }) => path);

describe('a layer that a build holds', () => {
	test('is kept until the scratch directory of the build is gone', async () => {
		const { store, paths, makeScratch, prune } = makeStore(['a', 'b']);
		const [a = '', b = ''] = paths;
		const scratch = makeScratch('build');
		await openLayerHold(store, scratch, await libc())([join(store, a)], NEVER);
		expect(await prune({})).toMatchObject({ removed: [{ path: b }], kept: [{ path: a }], held: [a] });
		expect(existsSync(join(store, a, 'fs', 'file'))).toBe(true);
		rmSync(scratch, { recursive: true });
		expect(pathsOf((await prune({})).removed)).toEqual([a]);
	});

	test('is kept although it comes later', async () => {
		const { store, makeScratch, prune } = makeStore([]);
		const path = join('layers-1', 'none', hexOf(digestOf(Buffer.from('late'))));
		await openLayerHold(store, makeScratch('build'), await libc())([join(store, path)], NEVER);
		mkdirSync(join(store, path), { recursive: true });
		expect(await prune({})).toMatchObject({ removed: [], held: [path] });
	});

	test('cannot be held anew while a prune decides', async () => {
		const { store, paths, makeScratch } = makeStore(['a']);
		const [path = ''] = paths;
		const build = openLayerHold(store, makeScratch('build'), await libc());
		const events: string[] = [];
		let holding: Promise<void> | undefined;
		const decide = (held: ReadonlySet<string>) => {
			holding = build([join(store, path)], NEVER).then(() => void events.push('held'));
			events.push(`decided with ${held.size}`);
		};
		await withHolds(store, makeScratch('pruner'), await libc(), decide, NEVER);
		await holding;
		expect(events).toEqual(['decided with 0', 'held']);
		await withHolds(store, makeScratch('pruner'), await libc(), (held) => events.push(`held ${held.size}`), NEVER);
		expect(events.at(-1)).toBe('held 1');
	});
});

describe('a prune', () => {
	test('removes nothing when it is dry', async () => {
		const { store, paths, prune } = makeStore(['a', 'b']);
		const { removed } = await prune({}, true);
		expect(pathsOf(removed)).toEqual([...paths].reverse());
		for (const path of paths) expect(existsSync(join(store, path, 'fs', 'file'))).toBe(true);
	});

	test('leaves nothing of a layer where it was, nor where it was moved to', async () => {
		const { store, prune } = makeStore(['a', 'b']);
		await prune({});
		expect(readdirSync(join(store, 'layers-1', 'none'))).toEqual([]);
		expect(readdirSync(join(store, 'work', 'pruner', 'pruned'))).toEqual([]);
	});

	test('spares what cannot be removed here, and says so', async () => {
		const { store, paths, makeScratch } = makeStore(['a'], 'full-12345678');
		const removable = (mapping: string) => !mapping.startsWith('full-');
		const context = { store, scratch: makeScratch('pruner'), libc: await libc(), removable, dryRun: false };
		expect(await pruneLayers(context, {}, NEVER)).toMatchObject({ removed: [], foreign: paths });
		expect(existsSync(join(store, paths[0] ?? '', 'fs', 'file'))).toBe(true);
	});

	test('refuses a store where nothing can be locked', async () => {
		const { store, paths, makeScratch } = makeStore(['a']);
		const context = {
			store,
			scratch: makeScratch('p'),
			libc: { ...(await libc()), tryLock: () => false },
			removable: () => true,
			dryRun: false,
		};
		await expect(pruneLayers(context, {}, NEVER)).rejects.toMatchObject({ code: 'HOST_STORE' });
		expect(existsSync(join(store, paths[0] ?? ''))).toBe(true);
	});
});

test('layers are listed with mapping, digest, size on disk and last use', async () => {
	const { store, paths } = makeStore(['a', 'b']);
	mkdirSync(join(store, 'layers-1', 'none', 'no-digest'));
	const index = join('indexes-1', hexOf(digestOf(Buffer.from('c'))));
	mkdirSync(join(store, index), { recursive: true });
	const all = await listLayers(store, NEVER);
	expect(new Set(pathsOf(all))).toEqual(new Set([...paths, index]));
	expect(all.find(({ path }) => path === index)?.mapping).toBe('index');
	const layers = all.filter(({ path }) => path !== index);
	for (const { mapping, bytes, diffId } of layers) {
		expect({ mapping, digest: diffId.slice(0, 7) }).toEqual({ mapping: 'none', digest: 'sha256:' });
		expect(bytes).toBeGreaterThanOrEqual(5000);
	}
});

describe('the choice', () => {
	const layer = fc.record({
		path: fc.uuid(),
		mapping: fc.constant('none'),
		diffId: fc.constant(digestOf(Buffer.from(''))),
		bytes: fc.nat(1000),
		lastUsed: fc.nat(100),
	});
	const layers = fc.uniqueArray(layer, { selector: ({ path }) => path, maxLength: 20 });
	const policy = fc.record({
		olderThanMs: fc.option(fc.nat(100), { nil: undefined }),
		keepBytes: fc.option(fc.nat(5000), { nil: undefined }),
	});
	const sum = (each: readonly StoredLayer[]) => each.reduce((bytes, one) => bytes + one.bytes, 0);

	test('never takes what is spared or younger than the limit, nor more than it must', () => {
		fc.assert(
			fc.property(layers, policy, fc.nat(3), (all, limits, modulus) => {
				const isSpared = ({ bytes }: StoredLayer) => bytes % 4 === modulus;
				const chosen = chooseLayers(all, limits, isSpared, 100);
				expect(chosen.filter(isSpared)).toEqual([]);
				for (const { lastUsed } of chosen) expect(100 - lastUsed).toBeGreaterThanOrEqual(limits.olderThanMs ?? 0);
				const last = chosen.at(-1);
				if (limits.keepBytes === undefined || last === undefined) return;
				expect(sum(all) - sum(chosen) + last.bytes).toBeGreaterThan(limits.keepBytes);
			}),
		);
	});

	test('takes the least recently used', () => {
		fc.assert(
			fc.property(layers, policy, (all, limits) => {
				const chosen = chooseLayers(all, limits, () => false, 100);
				const newest = Math.max(...chosen.map(({ lastUsed }) => lastUsed), -1);
				const left = all.filter((each) => !chosen.includes(each));
				expect(left.filter(({ lastUsed }) => lastUsed < newest)).toEqual([]);
			}),
		);
	});

	test('takes all that is not spared when there is no limit', () => {
		fc.assert(
			fc.property(layers, (all) => {
				expect(chooseLayers(all, {}, () => false, 0)).toHaveLength(all.length);
			}),
		);
	});
});
