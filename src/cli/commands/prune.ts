import { BuildError } from '../../errors.js';
import type { Pruned, PrunePolicy } from '../../pipeline/store/prune-store.js';
import type { Definition, Perform } from '../command.js';
import { formatBytes, formatTime, shortDigest } from '../format.js';
import { firstSet, impossible } from '../host-request.js';
import { listenForInterrupt } from '../interrupt.js';
import { type Grammar, switchOption, textOption } from '../options.js';
import { readPartialRequest, type StoreArguments, storeOptions } from '../store-options.js';

/** The arguments of `s2oci prune`, as typed. */
export interface PruneArguments extends StoreArguments {
	readonly olderThan: string | undefined;
	readonly keepBytes: string | undefined;
	readonly all: boolean;
	readonly dryRun: boolean;
	readonly json: boolean;
}

/** The grammar and the help of `s2oci prune`. */
export const pruneCommand: Grammar<PruneArguments> = {
	name: 'prune',
	description:
		'Remove layers from the store, the least recently used first, and what killed builds left there. What running builds use stays.',
	examples: [
		{ description: 'Remove what was not used for a week', command: 's2oci prune' },
		{ description: 'Remove the oldest until 5 GB are left', command: 's2oci prune --keep-bytes 5G' },
		{ description: 'See what would go', command: 's2oci prune --older-than 30d --dry-run' },
	],
	args: {
		olderThan: textOption('older-than', 'TIME', 'spare what was used since, such as 12h or 30d; default 7d'),
		keepBytes: textOption('keep-bytes', 'BYTES', 'remove no more than it takes to get down to this, such as 5G'),
		all: switchOption('all', 'remove all that no running build uses'),
		dryRun: switchOption('dry-run', 'only show what would be removed'),
		json: switchOption('json', 'print one JSON document'),
		...storeOptions,
	},
};

const WEEK_MS = 7 * 86_400_000;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: WEEK_MS };
const POWERS = 'kmgt';

/**
 * What the options of `s2oci prune` spare. A week's layers when they say nothing; `--keep-bytes` alone spares nothing for its age; with
 * both, only what both let go is removed. Throws USAGE.
 */
export function readPrunePolicy(args: Pick<PruneArguments, 'olderThan' | 'keepBytes' | 'all'>): PrunePolicy {
	const [olderThan, keepBytes] = [firstSet(args.olderThan), firstSet(args.keepBytes)];
	if (args.all) {
		if (olderThan === undefined && keepBytes === undefined) return {};
		throw new BuildError('USAGE', '--all spares nothing, so it goes with neither --older-than nor --keep-bytes', {
			hint: 'Leave out --all, or the others.',
		});
	}
	if (olderThan === undefined && keepBytes === undefined) return { olderThanMs: WEEK_MS };
	return {
		...(olderThan !== undefined && { olderThanMs: readAge(olderThan) }),
		...(keepBytes !== undefined && { keepBytes: readBytes(keepBytes) }),
	};
}

function readAge(text: string): number {
	const [, amount, unit] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d|w)$/.exec(text) ?? [];
	if (amount !== undefined && unit !== undefined) return Number(amount) * (UNITS[unit] ?? 1);
	throw impossible('--older-than', text, 'Give a number and a unit: ms, s, m, h, d or w, such as 12h or 30d.');
}

/** Units of 1024, as `--memory` has them. */
function readBytes(text: string): number {
	const [, amount, unit = ''] = /^(\d{1,15}(?:\.\d{1,3})?)([kmgt]?)(?:i?b)?$/i.exec(text) ?? [];
	const bytes = Number(amount) * 1024 ** (POWERS.indexOf(unit.toLowerCase() || '-') + 1);
	if (Number.isSafeInteger(Math.round(bytes))) return Math.round(bytes);
	throw impossible('--keep-bytes', text, 'Give a number of bytes, such as 500M or 5G.');
}

/** Removes layers from the store, and prints which. */
const runPrune: Perform<PruneArguments> = async ({ value }, { io }) => {
	const { json, dryRun } = value;
	const request = { ...readPartialRequest(value, io.env), policy: readPrunePolicy(value), dryRun };
	using interrupt = listenForInterrupt(io.signal);
	const { prune } = await import('../../pipeline/store/prune-store.js');
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

/** `s2oci prune`. */
export const command: Definition<PruneArguments> = {
	grammar: pruneCommand,
	perform: runPrune,
};
