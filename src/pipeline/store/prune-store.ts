import { existsSync } from 'node:fs';
import type { Pruned, PrunePolicy } from '../../protocol/worker-calls.js';
import type { HostRequest } from '../request.js';
import { openStoreSession } from './list-store.js';
import { settleStore } from './settle-store.js';

export type { PrunePolicy } from '../../protocol/worker-calls.js';

/** What `s2oci prune` is told. */
export interface PruneRequest extends HostRequest {
	readonly policy: PrunePolicy;
	/** Only tells what would go. */
	readonly dryRun: boolean;
}

/** What became of the store at the path `store`. */
export interface PrunedStore extends Pruned {
	readonly store: string;
	/** Whether there is a directory; without one there was nothing to remove. */
	readonly exists: boolean;
}

const NOTHING: Pruned = { removed: [], kept: [], held: [], foreign: [] };

/**
 * Removes layers that no running build uses and `policy` does not spare, and what builds that were killed left, from the store; builds may
 * go on meanwhile. It works in a worker, as files of subordinate ids can only be removed there. Throws HOST_NO_NAMESPACES, HOST_STORE.
 */
export async function prune(asked: PruneRequest, signal: AbortSignal): Promise<PrunedStore> {
	const request = settleStore(asked);
	const { store, policy, dryRun } = request;
	if (!existsSync(store)) return { store, exists: false, ...NOTHING };
	await using session = await openStoreSession(request, signal);
	const worker = await session.worker;
	return { store, exists: true, ...(await worker.call('pruneLayers', { policy, dryRun })) };
}
