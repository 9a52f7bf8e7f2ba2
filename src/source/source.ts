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
