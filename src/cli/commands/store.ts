import type { ListedLayer, RecordedImage, StoreListing } from '../../pipeline/store/stored-layers.js';
import { redact } from '../../redact.js';
import { formatBytes, formatTime, shortDigest } from '../format.js';
import { noStoreAt, readHostRequest, storeOptions } from '../host-options.js';
import { listenForInterrupt } from '../interrupt.js';
import { flag } from '../options.js';
import type { Definition } from '../parse-command.js';

const storeArguments = { json: flag('json', 'print one JSON document'), host: storeOptions };

/** `s2oci store`. */
export const command: Definition<typeof storeArguments> = {
	name: 'store',
	description: 'Show what is in the layer store: layers with their size and last use, recorded images, and the total.',
	examples: [
		{ description: 'Look into the default store', command: 's2oci store' },
		{ description: 'Sum up the layers of a shared store', command: "s2oci store --store /cache --json | jq '.bytes'" },
	],
	args: storeArguments,
	/** Prints what is in the store. */
	perform: async ({ value }, { io }) => {
		const request = readHostRequest(value.host, io);
		using interrupt = listenForInterrupt(io.signal);
		const { listStore } = await import('../../pipeline/store/stored-layers.js');
		const listing = await listStore(request, interrupt.signal);
		io.stdout.write(value.json ? `${JSON.stringify(listing, undefined, '\t')}\n` : renderListing(listing));
		return 0;
	},
};

function renderListing({ store, exists, layers, images, others, bytes }: StoreListing): string {
	if (!exists) return `${noStoreAt(store)}\n`;
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

function describeImage({ name, platform, digest, diffIds, recorded }: RecordedImage): readonly string[] {
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
