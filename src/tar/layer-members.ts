import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { RawPath } from '../root-path.js';
import { decompress } from './decompress.js';
import type { TarEntry } from './entry.js';
import { createTarReader } from './reader.js';

/** One member of a layer's tar: what its header says, and the digest of its content. */
export interface LayerMember {
	readonly entry: TarEntry;
	/** Of the content, in hex. */
	readonly sha256: string;
	/** Only of members that were asked for and fitted in. */
	readonly content: Buffer | undefined;
}

/** Members by path as written. */
export type LayerMembers = ReadonlyMap<RawPath, LayerMember>;

/** Whose content is wanted. */
export interface ContentWanted {
	readonly has: (path: RawPath) => boolean;
	/** Most bytes of content in all; a file that does not fit into what is left is left out. */
	readonly budget: number;
}

/** The members of the tar.gz at `blob`, by path as written. Nothing touches the disk. Throws LAYER_INVALID. */
export async function readLayerMembers(
	blob: string,
	wanted: ContentWanted,
	signal: AbortSignal,
): Promise<LayerMembers> {
	const members = new Map<RawPath, LayerMember>();
	let { budget } = wanted;
	let current: { readonly entry: TarEntry; readonly chunks: Buffer[] | undefined } | undefined;
	let hash = createHash('sha256');
	const reader = createTarReader({
		entry: (entry) => {
			const fits = wanted.has(entry.path) && entry.size <= budget;
			if (fits) budget -= entry.size;
			current = { entry, chunks: fits ? [] : undefined };
			hash = createHash('sha256');
		},
		data: (chunk) => {
			hash.update(chunk);
			current?.chunks?.push(Buffer.from(chunk));
		},
		close: () => {
			if (current === undefined) return;
			const { entry, chunks } = current;
			const content = chunks === undefined ? undefined : Buffer.concat(chunks);
			members.set(entry.path, { entry, sha256: hash.digest('hex'), content });
		},
	});
	const bytes = createReadStream(blob) as AsyncIterable<Buffer>;
	for await (const chunk of decompress('gzip', bytes, '', signal)) reader.write(chunk);
	reader.end();
	return members;
}
