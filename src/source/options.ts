import type { Readable } from 'node:stream';
import type { Http } from '../http/http.js';

/** Where a source goes, what of it is wanted, and what is told on the way. */
export interface FetchOptions {
	/** Directory below the source whose contents are built. */
	readonly contextDir: string | undefined;
	/** Absolute path of an empty directory; its parent must be on the same filesystem and writable. */
	readonly destination: string;
	/** Takes one sentence for the user. */
	readonly emitNotice: (message: string) => void;
	readonly env: Readonly<Record<string, string | undefined>>;
	/**
	 * Keep every link of a directory or archive as it is. Else links that leave a directory become copies of what they point to, and
	 * those that leave an archive are refused. Links of git repositories are always kept.
	 */
	readonly keepSymlinks: boolean;
	/** Leave the directories of submodules empty. */
	readonly ignoreSubmodules: boolean;
	/** Go regular expression for paths, relative to the source, that are left out; undefined is `(^|/)\.git(/|$)`, `''` is none. */
	readonly exclude: string | undefined;
	/** Read for sources of type `stdin` only, to its end. */
	readonly stdin: Readable;
	/** Asked for remote archives only. */
	readonly http: Pick<Http, 'get'>;
}
