import type { Pruned } from '../pipeline/store/prune-store.js';
import type { Perform } from './command.js';
import { formatBytes } from './format.js';
import { listenForInterrupt } from './interrupt.js';
import type { PruneArguments } from './prune-command.js';
import { readPrunePolicy } from './prune-policy.js';
import { formatTime, shortDigest } from './run-store.js';
import { readPartialRequest } from './store-options.js';

/** Removes layers from the store, and prints which. */
export const runPrune: Perform<PruneArguments> = async ({ value }, { io }) => {
	const { json, dryRun } = value;
	const request = { ...readPartialRequest(value, io.env), policy: readPrunePolicy(value), dryRun };
	using interrupt = listenForInterrupt(io.signal);
	const { prune } = await import('../pipeline/store/prune-store.js');
	const pruned = await prune(request, interrupt.signal);
	io.stdout.write(json ? `${JSON.stringify(pruned, undefined, '\t')}\n` : renderPruned(pruned, dryRun));
	return 0;
};

function renderPruned({ removed, kept, held, foreign }: Pruned, dryRun: boolean): string {
	const sum = (layers: Pruned['removed']) => formatBytes(layers.reduce((bytes, layer) => bytes + layer.bytes, 0));
	const verb = dryRun ? 'would remove' : 'removed';
	const notes = [
		...(held.length === 0 ? [] : [`${held.length} in use`]),
		...(foreign.length === 0 ? [] : [`${foreign.length} only root or another user may remove`]),
	];
	return [
		...removed.map(
			({ diffId, bytes, lastUsed, mapping }) =>
				`${verb} ${shortDigest(diffId)}  ${formatBytes(bytes)}  last used ${formatTime(lastUsed)}  ${mapping}`,
		),
		`${verb} ${sum(removed)} in ${removed.length} layers; kept ${sum(kept)} in ${kept.length}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`,
		'',
	].join('\n');
}
