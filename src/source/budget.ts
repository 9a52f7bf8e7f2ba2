import { BuildError } from '../errors.js';

/** What an archive may still grow to; every call throws SOURCE_INVALID when it goes beyond. Numbers are bytes. */
export interface Budget {
	readonly addPacked: (bytes: number) => void;
	readonly addUnpacked: (bytes: number) => void;
	readonly addEntry: () => void;
}

const MAX_ENTRIES = 1_000_000;
const MAX_BYTES = 8 * 1024 ** 3;
/** Small archives may compress as well as they like. */
const FREE_BYTES = 64 * 1024 ** 2;
const MAX_RATIO = 200;

/** Limits against archives that are small and unpack to what fills a disk (class of CVE-2026-25122). */
export function createBudget(): Budget {
	let packed = 0;
	let unpacked = 0;
	let entries = 0;
	return {
		addPacked: (bytes) => {
			packed += bytes;
			if (packed > MAX_BYTES) throw tooLarge('it is larger than 8 GiB');
		},
		addUnpacked: (bytes) => {
			unpacked += bytes;
			if (unpacked > MAX_BYTES) throw tooLarge('it unpacks to more than 8 GiB');
			if (unpacked > Math.max(FREE_BYTES, MAX_RATIO * packed)) {
				throw tooLarge(`it unpacks to more than ${MAX_RATIO} times its size`);
			}
		},
		addEntry: () => {
			entries += 1;
			if (entries > MAX_ENTRIES) throw tooLarge(`it has more than ${MAX_ENTRIES} entries`);
		},
	};
}

function tooLarge(problem: string): BuildError {
	return new BuildError('SOURCE_INVALID', `the archive is refused: ${problem}`, {
		hint: 'Leave out what is not source code, or unpack the archive and build the directory.',
	});
}
