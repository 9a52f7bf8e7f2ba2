import type { RawPath, RootPath } from '../root-path.js';
import type { UnreadFile } from './tree.js';
import type { UpperEntry } from './upper.js';

/** A directory that shows a whole image, may be changed, and can tell what was changed. */
export interface RootDirectory {
	/** Where the image is shown while it is mounted. */
	readonly path: string;
	/** Where the files that were changed are, each at its path in the image, mounted or not. */
	readonly changed: string;
	readonly mount: () => void;
	/** Does nothing when it is not mounted. */
	readonly unmount: () => void;
	/** Unmounts it for good. What the kernel then forgets, it may forget in the background. */
	readonly close: () => void;
	/** To be called, while it is not mounted, for a new directory in {@link changed}: nothing of the image shows through it. */
	readonly hideBelow: (directory: RawPath) => void;
	/** What was changed, parents before children, without `skip` and all below. */
	readonly scan: (skip: ReadonlySet<RootPath>) => readonly UpperEntry[];
	/** Like {@link scan}, but files in directories that are new, as `isNew` says, may be left unread. */
	readonly scanUnread?: (
		skip: ReadonlySet<RootPath>,
		isNew: (directory: RootPath) => boolean,
	) => readonly (UpperEntry | UnreadFile)[];
}
