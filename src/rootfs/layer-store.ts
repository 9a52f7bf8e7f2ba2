import { closeSync, fstatSync, openSync, readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { attempt, errnoOf, unlessErrno } from '../errors.js';
import { makePath } from '../make-path.js';
import { type Digest, hexOf } from '../oci/digest.js';
import { removeTree } from '../remove-tree.js';
import { ROOT, rawPath } from '../root-path.js';
import { formatLayerIndex, type LayerIndex, parseLayerIndex, type UnpackedLayer } from './layer-index.js';
import { createRowTable, type LayerLookup, openLayerLookup } from './layer-lookup.js';

/** Unpacked layers of one id mapping, by diffID. A layer is visible only as a whole, after its digests matched. */
export interface LayerStore {
	readonly has: (diffId: Digest) => boolean;
	/** The directory that holds the layer's files. */
	readonly rootOf: (diffId: Digest) => string;
	/** Undefined when the layer is not there, or was written by another version. */
	readonly readIndex: (diffId: Digest) => LayerIndex | undefined;
	/** Finds single entries of the same index; undefined when the layer was written by another version. */
	readonly openLookup: (diffId: Digest) => LayerLookup | undefined;
	/** What mounting needs to know, without reading the whole index. */
	readonly readSummary: (diffId: Digest) => LayerSummary | undefined;
	/** Makes the directory `unpacked`, as {@link writeUnpackedLayer} left it, the layer `diffId`. */
	readonly publish: (diffId: Digest, unpacked: string) => void;
}

const ROOT_NAME = 'fs';
const INDEX_NAME = 'index.json';
const TABLE_NAME = 'index.table';
const SUMMARY_NAME = 'summary.json';

const summary = v.object({
	/** How the layer declares the root directory, if it does. */
	root: v.nullable(v.object({ mode: v.number(), uid: v.number(), gid: v.number() })),
	/** Whether it hides all layers below it. */
	opaque: v.boolean(),
	/** Whether it implies directories that a lower layer may declare. */
	implies: v.boolean(),
});

/** The part of a layer's index that a mount needs. */
export type LayerSummary = Readonly<v.InferOutput<typeof summary>>;

/** Opens, and where needed makes, the layers below `directory`. */
export function openLayerStore(directory: string): LayerStore {
	makePath(directory, 0o700);
	const pathOf = (diffId: Digest) => join(directory, hexOf(diffId));
	return {
		has: (diffId) => {
			const path = pathOf(diffId);
			if (readSummary(path) === undefined) return false;
			const now = new Date();
			utimesSync(path, now, now);
			return true;
		},
		rootOf: (diffId) => join(pathOf(diffId), ROOT_NAME),
		readIndex: (diffId) => parseLayerIndex(readText(join(pathOf(diffId), INDEX_NAME))),
		openLookup: (diffId) => openLookup(pathOf(diffId)),
		readSummary: (diffId) => readSummary(pathOf(diffId)),
		publish: (diffId, unpacked) => publish(unpacked, pathOf(diffId)),
	};
}

/** The directory below `unpacked` that a layer's files are unpacked into. */
export function unpackRoot(unpacked: string): string {
	return join(unpacked, ROOT_NAME);
}

/** Completes `unpacked` with the layer's index, the table of its rows, and its summary. */
export function writeUnpackedLayer(unpacked: string, index: UnpackedLayer): void {
	const file = openSync(join(unpacked, INDEX_NAME), 'w', 0o600);
	const table = createRowTable(index.count);
	try {
		for (const part of formatLayerIndex(index, table.add)) writeFileSync(file, part);
		writeFileSync(join(unpacked, TABLE_NAME), table.finish(fstatSync(file).size), { mode: 0o600 });
	} finally {
		closeSync(file);
	}
	writeFileSync(join(unpacked, SUMMARY_NAME), JSON.stringify(summarize(index)), { mode: 0o600 });
}

function summarize({ directories }: UnpackedLayer): LayerSummary {
	const root = directories.find(([path]) => path === ROOT)?.[1];
	const isDeclared = root?.type === 'directory' && root.implicit !== true;
	const isImplied = ([path, entry]: (typeof directories)[number]) =>
		path !== ROOT && entry.type === 'directory' && entry.implicit === true;
	return {
		root: isDeclared ? { mode: root.mode, uid: root.uid, gid: root.gid } : null,
		opaque: root?.type === 'directory' && root.opaque === true,
		implies: directories.some(isImplied),
	};
}

function readSummary(layer: string): LayerSummary | undefined {
	return attempt(() => v.parse(summary, JSON.parse(readText(join(layer, SUMMARY_NAME)))));
}

function openLookup(layer: string): LayerLookup | undefined {
	const read = () => [readFileSync(join(layer, INDEX_NAME)), readFileSync(join(layer, TABLE_NAME))] as const;
	const files = unlessErrno(['ENOENT'], read);
	return files && openLayerLookup(...files);
}

function readText(path: string): string {
	return unlessErrno(['ENOENT'], () => readFileSync(path, 'utf8')) ?? '';
}

/** A concurrent build may have published the same layer first; then ours is dropped, for both are equal. */
function publish(unpacked: string, path: string): void {
	try {
		renameSync(unpacked, path);
	} catch (error) {
		if (!['ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error;
		const isComplete = readSummary(path) !== undefined;
		removeTree(rawPath(isComplete ? unpacked : path));
		if (!isComplete) renameSync(unpacked, path);
	}
}
