import * as v from 'valibot';
import { attempt } from '../errors.js';
import type { RootPath } from '../root-path.js';
import type { LayerEntry } from './tree.js';

/** What a layer declares, and what this host could not keep of it; it is kept beside the unpacked layer. */
export interface LayerIndex {
	readonly entries: readonly (readonly [RootPath, LayerEntry])[];
	/** Names of extended attributes that could not be set. */
	readonly lostXattrs: readonly string[];
}

/** What was unpacked of a layer. */
export interface UnpackedLayer {
	/** As in {@link LayerIndex}; made one by one, each time that somebody goes through them. */
	readonly entries: Iterable<readonly [RootPath, LayerEntry]>;
	/** Of entries. */
	readonly count: number;
	/** Those of them that are directories. */
	readonly directories: LayerIndex['entries'];
	readonly lostXattrs: readonly string[];
}

const FORMAT = 1;
const PART = 1 << 20;
const FORMS = ['file', 'directory', 'symlink', 'character', 'block', 'fifo', 'whiteout'] as const;

type Xattrs = Readonly<Record<string, string>>;
/** path, form, mode, uid, gid, mtime, size | target | [major, minor] | flags, link target, xattrs in base64. */
type Row = readonly [string, number, number, number, number, number, unknown, string?, Xattrs?];

const document = v.object({
	format: v.literal(FORMAT),
	lostXattrs: v.array(v.string()),
	entries: v.custom<readonly Row[]>(Array.isArray),
});

/**
 * The index as text, in parts of about 1 MiB; one row an entry keeps 50,000 of them near 4 MB. `placed` is told at which byte the row of
 * each path begins.
 */
export function* formatLayerIndex(
	index: Pick<UnpackedLayer, 'entries' | 'lostXattrs'>,
	placed: (path: RootPath, offset: number) => void = () => undefined,
): Generator<string, void, undefined> {
	let part = `{"format":${String(FORMAT)},"lostXattrs":${JSON.stringify(index.lostXattrs)},"entries":[\n`;
	let offset = Buffer.byteLength(part);
	let separator = '';
	for (const [path, entry] of index.entries) {
		const row = JSON.stringify(rowOf(path, entry));
		part += separator;
		offset += separator.length;
		separator = ',\n';
		placed(path, offset);
		part += row;
		offset += Buffer.byteLength(row);
		if (part.length < PART) continue;
		yield part;
		part = '';
	}
	yield `${part}\n]}\n`;
}

/** Reads what {@link formatLayerIndex} wrote; undefined when it is of another format or damaged, so that the layer is unpacked again. */
export function parseLayerIndex(text: string): LayerIndex | undefined {
	return attempt(() => {
		const { lostXattrs, entries } = v.parse(document, JSON.parse(text));
		return { lostXattrs, entries: entries.map(entryOf) };
	});
}

/** One row of what {@link formatLayerIndex} wrote. Throws for what is none. */
export function parseIndexRow(row: string): readonly [RootPath, LayerEntry] {
	return entryOf(JSON.parse(row) as Row);
}

function rowOf(path: RootPath, entry: LayerEntry): Row {
	if (entry.type === 'whiteout') return [path, FORMS.indexOf('whiteout'), 0, 0, 0, 0, 0];
	const { type, mode, uid, gid, mtime, xattrs } = entry;
	const link = type === 'file' ? entry.linkOf : undefined;
	const encoded = xattrs && Object.fromEntries([...xattrs].map(([name, value]) => [name, value.toString('base64')]));
	const head: Row = [path, FORMS.indexOf(type), mode, uid, gid, mtime, detailOf(entry)];
	if (encoded !== undefined) return [...head.slice(0, 7), link ?? '', encoded] as unknown as Row;
	return link === undefined ? head : ([...head.slice(0, 7), link] as unknown as Row);
}

function detailOf(entry: Exclude<LayerEntry, { type: 'whiteout' }>): unknown {
	switch (entry.type) {
		case 'file':
			return entry.size;
		case 'directory':
			return (entry.implicit === true ? 1 : 0) + (entry.opaque === true ? 2 : 0);
		case 'symlink':
			return entry.target;
		case 'character':
		case 'block':
		case 'fifo':
			return [entry.major, entry.minor];
	}
}

function entryOf(row: Row): readonly [RootPath, LayerEntry] {
	const [path, form, mode, uid, gid, mtime, detail, link, encoded] = row;
	const type = FORMS[form];
	if (type === undefined || typeof path !== 'string') throw new Error('unknown form');
	const xattrs =
		encoded && new Map(Object.entries(encoded).map(([name, value]) => [name, Buffer.from(value, 'base64')]));
	const attributes = { mode, uid, gid, mtime, ...(xattrs && { xattrs }) };
	return [path as RootPath, withDetail(type, attributes, detail, link)];
}

function withDetail(
	type: (typeof FORMS)[number],
	attributes: { mode: number; uid: number; gid: number; mtime: number },
	detail: unknown,
	link: string | undefined,
): LayerEntry {
	switch (type) {
		case 'whiteout':
			return { type };
		case 'file':
			return { ...attributes, type, size: detail as number, ...(link && { linkOf: link as RootPath }) };
		case 'directory': {
			const [implicit, opaque] = [1, 2].map((flag) => ((detail as number) & flag) !== 0);
			return { ...attributes, type, ...(implicit && { implicit }), ...(opaque && { opaque }) };
		}
		case 'symlink':
			return { ...attributes, type, target: detail as string };
		case 'character':
		case 'block':
		case 'fifo': {
			const [major, minor] = detail as [number, number];
			return { ...attributes, type, major, minor };
		}
	}
}
