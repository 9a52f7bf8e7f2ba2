/** Where source code comes from. `location` is as typed, never printed unredacted. */
export type Source =
	| { readonly type: 'directory'; readonly path: string }
	| { readonly type: 'git'; readonly url: string; readonly ref?: string; readonly local: boolean };

/** What is known of source code once it was fetched, for labels and the result. Holds no credentials. */
export interface SourceInfo {
	/** The URL without user info, or the path. */
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
}
