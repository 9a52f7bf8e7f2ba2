import type { Readable } from 'node:stream';
import type { Http } from '../http/http.js';

/** Where source code comes from. Locations are as typed, never printed unredacted. */
export type Source =
	| { readonly type: 'directory'; readonly path: string }
	/** One file of any kind that becomes the whole source (S2I's "binary" source). */
	| { readonly type: 'file'; readonly path: string }
	/** `local`: `url` is a path. */
	| { readonly type: 'git'; readonly url: string; readonly ref?: string; readonly local: boolean }
	/** `remote`: `location` is an http or https URL, else a path. */
	| { readonly type: 'archive'; readonly location: string; readonly remote: boolean }
	/** An archive on standard input. */
	| { readonly type: 'stdin' };

/** What is known of source code once it was fetched, for labels and the result. Holds no credentials. */
export interface SourceInfo {
	/** The URL without user info, the path, or `-` for standard input. */
	readonly location: string;
	readonly contextDir?: string;
	/** Full commit id. */
	readonly commit?: string;
	/** Branch or tag that was asked for, else the branch that is checked out. */
	readonly ref?: string;
	/** `Name <email>`. */
	readonly author?: string;
	/** RFC 3339. */
	readonly date?: string;
	/** First line, at most 80 characters. */
	readonly message?: string;
	/** Seconds since 1970 that no mtime of the layer may exceed: the commit's time, else the newest mtime in the source. */
	readonly epoch: number;
	/**
	 * Files and directories, relative to the source, that `.s2iignore` names but that are still there because script discovery comes
	 * before ignoring (S2I 1.3): of each, at most what is in `.s2i/bin` and `.sti/bin`. After discovery each is to be removed with all
	 * that is below it.
	 */
	readonly ignoredScripts: readonly string[];
}

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
