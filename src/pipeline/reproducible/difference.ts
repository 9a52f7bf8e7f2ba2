/** What makes builds differ; docs/reproducible.md says what helps against each. */
export type Cause =
	| 'only-once'
	| 'attributes'
	| 'python-bytecode'
	| 'gzip-time'
	| 'member-order'
	| 'member-times'
	| 'members'
	| 'line-order'
	| 'time'
	| 'identifier'
	| 'path'
	| 'unknown';

/** A cause and how to say it of a file: it follows the file's name and a colon. */
export interface Explanation {
	readonly cause: Cause;
	readonly reason: string;
}

/** Why two layers of the same source are not the same, at one path, which is printable. */
export interface Difference extends Explanation {
	readonly path: string;
}
