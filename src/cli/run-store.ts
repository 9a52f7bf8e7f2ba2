import type { ListedLayer, StoredImage, StoreListing } from '../pipeline/store/list-store.js';
import { redact } from '../redact.js';
import type { Perform } from './command.js';
import { formatBytes } from './format.js';
import { listenForInterrupt } from './interrupt.js';
import type { StoreListArguments } from './store-command.js';
import { readPartialRequest } from './store-options.js';

const SHORT = 19;

/** Prints what is in the store. */
export const runStore: Perform<StoreListArguments> = async ({ value }, { io }) => {
	const request = readPartialRequest(value, io.env);
	using interrupt = listenForInterrupt(io.signal);
	const { listStore } = await import('../pipeline/store/list-store.js');
	const listing = await listStore(request, interrupt.signal);
	io.stdout.write(value.json ? `${JSON.stringify(listing, undefined, '\t')}\n` : renderListing(listing));
	return 0;
};

/** A time for people, to the minute, in UTC. */
export function formatTime(ms: number): string {
	return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}

/** The first characters of a digest, which tell it from all others that a person will meet. */
export function shortDigest(digest: string): string {
	return digest.slice(0, SHORT);
}

function renderListing({ store, layers, images, others, bytes }: StoreListing): string {
	return [
		`store ${redact(store)}`,
		...table('layers', layers.map(describeLayer)),
		...table('images', images.map(describeImage)),
		...table(
			'other files',
			others.map(({ name, bytes: size }) => [formatBytes(size), redact(name)]),
		),
		`total ${formatBytes(bytes)}`,
		'',
	].join('\n');
}

function describeLayer({ diffId, bytes, lastUsed, mapping, held, images }: ListedLayer): readonly string[] {
	const users = images.length === 0 ? '-' : redact(images.join(' '));
	return [shortDigest(diffId), formatBytes(bytes), formatTime(lastUsed), mapping, held ? `${users} (in use)` : users];
}

function describeImage({ name, platform, digest, diffIds, recorded }: StoredImage): readonly string[] {
	const count = `${diffIds.length} layer${diffIds.length === 1 ? '' : 's'}`;
	return [shortDigest(digest), count, formatTime(recorded), redact(platform), redact(name)];
}

function table(title: string, rows: readonly (readonly string[])[]): readonly string[] {
	if (rows.length === 0) return [];
	const widths = (rows[0] ?? []).map((_cell, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
	const line = (row: readonly string[]) =>
		row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  ');
	return [`${title}:`, ...rows.map((row) => `  ${line(row)}`)];
}
