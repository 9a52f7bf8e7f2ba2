import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as pause } from 'node:timers/promises';
import { succeeds } from '../errors.js';
import type { Libc } from '../linux/libc.js';
import { makePath } from '../make-path.js';
import { removeTree } from '../remove-tree.js';
import { rawPath } from '../root-path.js';
import { withHolds } from './layer-hold.js';
import { lastUseOf, listLayers, type StoredLayer } from './stored-layers.js';

/** Which layers are to go; each setting spares some. */
export interface PrunePolicy {
	/** Layers that were used in the last so many ms stay. */
	readonly olderThanMs?: number | undefined;
	/** Nothing goes as long as the layers take no more than this, in bytes. */
	readonly keepBytes?: number | undefined;
}

/** What a prune did, or would have done. */
export interface Pruned {
	readonly removed: readonly StoredLayer[];
	readonly kept: readonly StoredLayer[];
	/** Of `kept`, by path: those that running builds use. */
	readonly held: readonly string[];
	/** Of `kept`, by path: those that would have gone, but whose files belong to ids that are not ours to remove. */
	readonly foreign: readonly string[];
}

export interface PruneContext {
	readonly store: string;
	/** Private directory of this process, in the store. */
	readonly scratch: string;
	readonly libc: Pick<Libc, 'tryLock' | 'openBeneath' | 'standIn'>;
	/** Whether files that were unpacked under `mapping` can be removed here. */
	readonly removable: (mapping: string) => boolean;
	/** Only tells what would go. */
	readonly dryRun: boolean;
}

const MOVED = 'pruned';

/**
 * Removes the least recently used layers that `policy` does not spare and no build holds. A layer is first moved out of sight as a whole,
 * while no build can begin to use it, so that none is ever seen half removed. Throws HOST_STORE, and when `signal` is aborted.
 */
export async function pruneLayers(context: PruneContext, policy: PrunePolicy, signal: AbortSignal): Promise<Pruned> {
	const { store, scratch, libc, dryRun } = context;
	const listed = await listLayers(store, signal, libc);
	makePath(join(scratch, MOVED), 0o700);
	const { pruned, moved } = await withHolds(
		store,
		scratch,
		libc,
		(held) => move(listed, held, context, policy),
		signal,
	);
	for (const path of dryRun ? [] : moved) {
		signal.throwIfAborted();
		removeTree(rawPath(path));
		await pause();
	}
	return pruned;
}

/** The layers to remove, least recently used first. What is held or not ours stays and counts all the same. */
export function chooseLayers(
	layers: readonly StoredLayer[],
	policy: PrunePolicy,
	isSpared: (layer: StoredLayer) => boolean,
	now: number,
): readonly StoredLayer[] {
	const { olderThanMs = Number.NEGATIVE_INFINITY, keepBytes = -1 } = policy;
	let total = layers.reduce((bytes, layer) => bytes + layer.bytes, 0);
	const chosen: StoredLayer[] = [];
	for (const layer of layers.toSorted((a, b) => a.lastUsed - b.lastUsed)) {
		if (total <= keepBytes || now - layer.lastUsed < olderThanMs) break;
		if (isSpared(layer)) continue;
		chosen.push(layer);
		total -= layer.bytes;
	}
	return chosen;
}

/** Uses that came after the listing count; so does that somebody else removed a layer. */
function move(
	listed: readonly StoredLayer[],
	held: ReadonlySet<string>,
	{ store, scratch, removable, dryRun }: PruneContext,
	policy: PrunePolicy,
): { readonly pruned: Pruned; readonly moved: readonly string[] } {
	const layers = listed.flatMap((layer) => {
		const lastUsed = lastUseOf(join(store, layer.path));
		return lastUsed === undefined ? [] : { ...layer, lastUsed };
	});
	const now = Date.now();
	const chosen = chooseLayers(layers, policy, ({ path, mapping }) => held.has(path) || !removable(mapping), now);
	const wanted = chooseLayers(layers, policy, ({ path }) => held.has(path), now);
	const moved: string[] = [];
	const refused = new Set<string>();
	for (const [number, { path }] of chosen.entries()) {
		const target = join(scratch, MOVED, String(number));
		const moveAway = () => renameSync(join(store, path), target);
		if (dryRun || succeeds(moveAway, ['EACCES', 'EPERM'])) moved.push(target);
		else refused.add(path);
	}
	const removed = chosen.filter(({ path }) => !refused.has(path));
	const kept = layers.filter((layer) => !removed.includes(layer));
	const foreign = kept.filter(
		(layer) => wanted.includes(layer) && (refused.has(layer.path) || !removable(layer.mapping)),
	);
	const pathsOf = (each: readonly StoredLayer[]) => each.map(({ path }) => path);
	return {
		pruned: { removed, kept, held: pathsOf(kept.filter(({ path }) => held.has(path))), foreign: pathsOf(foreign) },
		moved,
	};
}
