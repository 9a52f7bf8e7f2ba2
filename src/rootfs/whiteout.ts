import { BuildError } from '../errors.js';
import { childOf, nameOf, parentOf, printablePath, type RawPath, type RootPath } from '../root-path.js';

const PREFIX = '.wh.';
const OPAQUE = '.wh..wh..opq';

/** What the name of a layer entry means, where it is not an ordinary one (image-spec v1.1 layer.md#whiteouts). */
export type Whiteout =
	| { readonly type: 'whiteout'; readonly name: string }
	| { readonly type: 'opaque' }
	/** AUFS bookkeeping (`.wh..wh.plnk`), which says nothing of the image. */
	| { readonly type: 'ignored' };

/** `path` as a whiteout, or undefined. Throws LAYER_UNSAFE for whiteouts of nothing, of `.` and of `..`. */
export function parseWhiteout(path: RawPath): Whiteout | undefined {
	const trimmed = path.replace(/\/+$/, '');
	const name = trimmed.slice(trimmed.lastIndexOf('/') + 1);
	if (!name.startsWith(PREFIX)) return undefined;
	if (name === OPAQUE) return { type: 'opaque' };
	if (name.startsWith('.wh..wh.')) return { type: 'ignored' };
	const hidden = name.slice(PREFIX.length);
	if (hidden === '' || hidden === '.' || hidden === '..') {
		throw new BuildError('LAYER_UNSAFE', `a layer has the whiteout "${printablePath(path)}", which names no file`, {
			hint: 'Do not use this image before you know who made it.',
		});
	}
	return { type: 'whiteout', name: hidden };
}

/** The name of the entry that removes `path`. */
export function whiteoutOf(path: RootPath): RootPath {
	return childOf(parentOf(path), PREFIX + nameOf(path));
}
