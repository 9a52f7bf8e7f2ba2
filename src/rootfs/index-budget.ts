import { BuildError } from '../errors.js';
import type { RawPath } from '../root-path.js';
import type { TarEntry } from '../tar/entry.js';

/** Bytes of what a layer declares, as far as it is kept in memory and in the layer's index. */
export interface IndexBudget {
	/** Counts a path of the layer. Throws what it was made with. */
	readonly path: (path: RawPath) => void;
	/** Counts what an entry has besides its path. Throws what it was made with. */
	readonly attributes: (entry: Pick<TarEntry, 'linkPath' | 'xattrs'>) => void;
}

const MIB = 2 ** 20;
/** Together below what one string of the JavaScript engine holds, 512 MiB, with the rest of 2,000,000 rows. */
const MAX_PATH_BYTES = 256 * MIB;
const MAX_XATTR_BYTES = 64 * MIB;
/** What an attribute costs in memory besides its bytes, so that many empty ones are limited, too. */
const XATTR_COST = 200;
const LONGER_IN_JSON = /[^ !#-[\]-~]/;

/**
 * A budget for one layer: 256 MiB of paths and targets of links, as JSON has them, and 64 MiB of extended
 * attributes, of which each counts 200 bytes more than it has. `refuse` makes the error for what is more; LAYER_INVALID by default.
 */
export function createIndexBudget(refuse: (what: string) => BuildError = ofLayer): IndexBudget {
	let paths = 0;
	let xattrs = 0;
	const count = (path: RawPath) => {
		paths += LONGER_IN_JSON.test(path) ? Buffer.byteLength(JSON.stringify(path)) : path.length;
		if (paths > MAX_PATH_BYTES) throw refuse(`more than ${MAX_PATH_BYTES / MIB} MiB of paths`);
	};
	return {
		path: count,
		attributes: (entry) => {
			count(entry.linkPath);
			for (const [name, value] of entry.xattrs) xattrs += XATTR_COST + name.length + value.length;
			if (xattrs > MAX_XATTR_BYTES) throw refuse(`more than ${MAX_XATTR_BYTES / MIB} MiB of extended attributes`);
		},
	};
}

function ofLayer(what: string): BuildError {
	return new BuildError('LAYER_INVALID', `a layer has ${what}`, {
		hint: 'Do not use this image before you know who made it.',
	});
}

/** ASSEMBLE_FAILED for a layer of our own that has `what`, and that no build would take as one of its builder. */
export function tooLargeLayer(what: string): BuildError {
	return new BuildError('ASSEMBLE_FAILED', `what assemble made has ${what}, more than s2oci puts into a layer`, {
		hint: 'Have assemble remove what the image does not need, or make it elsewhere than in the image (a --volume).',
	});
}
