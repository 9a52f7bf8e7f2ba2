import { BuildError } from '../../errors.js';
import type { PrunedStore, PrunePolicy } from '../../pipeline/store/stored-layers.js';
import { formatBytes, formatTime, shortDigest } from '../format.js';
import { noStoreAt, readHostRequest, storeOptions } from '../host-options.js';
import { listenForInterrupt } from '../interrupt.js';
import { flag, option, type Values } from '../options.js';
import type { Definition } from '../parse-command.js';
import { readDuration, readSize } from '../values.js';

const pruneArguments = {
	spared: {
		olderThan: option(
			'older-than',
			'TIME',
			'spare what was used since, such as 12h or 30d; a bare number is refused; default 7d',
			{
				read: readDuration('Give a number and a unit: ms, s, m, h, d or w, such as 12h or 30d.'),
			},
		),
		keepBytes: option(
			'keep-bytes',
			'BYTES',
			'remove no more than it takes to get down to this, such as 5G, in units of 1024; a bare number is bytes',
			{
				read: readSize('Give a number of bytes, such as 500M or 5G.'),
			},
		),
		all: flag('all', 'remove all that no running build uses'),
	},
	dryRun: flag('dry-run', 'only show what would be removed'),
	json: flag('json', 'print one JSON document'),
	host: storeOptions,
};

/** `s2oci prune`. */
export const command: Definition<typeof pruneArguments> = {
	name: 'prune',
	description:
		'Remove layers from the store, the least recently used first, and what killed builds left there. What running builds use stays.',
	examples: [
		{ description: 'Remove what was not used for a week', command: 's2oci prune' },
		{ description: 'Remove the oldest until 5 GB are left', command: 's2oci prune --keep-bytes 5G' },
		{ description: 'See what would go', command: 's2oci prune --older-than 30d --dry-run' },
	],
	args: pruneArguments,
	/** Removes layers from the store, and prints which. */
	perform: async ({ value }, { io }) => {
		const { json, dryRun, spared, host } = value;
		const request = { ...readHostRequest(host, io), policy: readPrunePolicy(spared), dryRun };
		using interrupt = listenForInterrupt(io.signal);
		const { prune } = await import('../../pipeline/store/stored-layers.js');
		const pruned = await prune(request, interrupt.signal);
		io.stdout.write(json ? `${JSON.stringify(pruned, undefined, '\t')}\n` : renderPruned(pruned, dryRun));
		return 0;
	},
};

const WEEK_MS = 7 * 86_400_000;

/**
 * What the options of `s2oci prune` spare. A week's layers when they say nothing; `--keep-bytes` alone spares nothing for its age; with
 * both, only what both let go is removed. Throws USAGE.
 */
export function readPrunePolicy({ olderThan, keepBytes, all }: Values<typeof pruneArguments>['spared']): PrunePolicy {
	if (all) {
		if (olderThan === undefined && keepBytes === undefined) return {};
		throw new BuildError('USAGE', '--all spares nothing, so it goes with neither --older-than nor --keep-bytes', {
			hint: 'Leave out --all, or the others.',
		});
	}
	if (olderThan === undefined && keepBytes === undefined) return { olderThanMs: WEEK_MS };
	return {
		...(olderThan !== undefined && { olderThanMs: olderThan }),
		...(keepBytes !== undefined && { keepBytes }),
	};
}

function renderPruned({ store, exists, removed, kept, held, foreign, unpushed }: PrunedStore, dryRun: boolean): string {
	if (!exists) return `${noStoreAt(store)}\n`;
	const sum = (layers: PrunedStore['removed']) => formatBytes(layers.reduce((bytes, layer) => bytes + layer.bytes, 0));
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
		...unpushed.map((name) => `${verb} ${name}, which a failed push had left`),
		`${verb} ${sum(removed)} in ${removed.length} layers; kept ${sum(kept)} in ${kept.length}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`,
		'',
	].join('\n');
}
