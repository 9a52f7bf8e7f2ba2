/** How much a difference matters, the most important first. */
export const KINDS = [
	'start',
	'status',
	'port',
	'stop',
	'body',
	'output',
	'header',
	'process',
	'file',
	'image',
	'label',
	'package',
	'figure',
] as const;

export type Kind = (typeof KINDS)[number];

/** What is known of one field of one image in one run. */
export type Value =
	/** One of few words, such as an exit status. */
	| { readonly type: 'word'; readonly word: string }
	/** Text of a program, which may have noise in it; `ordered`: its lines have an order. */
	| { readonly type: 'lines'; readonly lines: readonly string[]; readonly ordered: boolean }
	/** It is there and could not be read. */
	| { readonly type: 'unread' }
	/** How much of something: less is better. */
	| { readonly type: 'figure'; readonly amount: number; readonly unit: 'ms' | 'bytes' };

/** A field of a transcript: `name` says where it comes from. */
export interface Field {
	readonly kind: Kind;
	readonly name: string;
	readonly value: Value;
}

/** What was observed of one run of an image, or of the image itself. */
export type Transcript = readonly Field[];
