import { type Grammar, switchOption, textOption } from './options.js';
import { type StoreArguments, storeOptions } from './store-options.js';

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
