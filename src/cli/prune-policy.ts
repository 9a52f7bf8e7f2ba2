import { BuildError } from '../errors.js';
import type { PrunePolicy } from '../pipeline/store/prune-store.js';
import { firstSet, impossible } from './host-request.js';
import type { PruneArguments } from './prune-command.js';

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
