import { readdir, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { BuildError } from '../../errors.js';
import type { HostBind } from '../../protocol/host-bind.js';
import type { Inspected } from '../../protocol/worker-calls.js';
import { type FoundSource, lookAtSource } from './host-source.js';

/** Looks at absolute paths of the image, following its links inside of it; answers in their order. */
export type InspectImage = (paths: readonly string[]) => Promise<readonly Inspected[]>;

const OPTION = '--inject';
/** Each is a mount of its own. */
const BIND_LIMIT = 500;

/**
 * Where an injection is seen, as S2I uploads it: what exists is not replaced but added to, so that the entries of a directory are mounted
 * one by one in a directory of the image, and the image's directory itself stays writable. A file whose destination does not exist is seen
 * there (S2I: below it). `option` is what was given, for messages. Throws USAGE when the parent of the destination is missing,
 * when types differ, or when there would be too many mounts.
 */
export async function placeInjection(
	source: FoundSource,
	name: string,
	destination: string,
	inspect: InspectImage,
): Promise<readonly HostBind[]> {
	const parent = join(destination, '..');
	const [there, above] = await inspect([destination, parent]);
	if (there === undefined || there.type === 'missing') {
		if (above?.type !== 'directory') throw noParent(destination, parent);
		return [bindOf(source, destination)];
	}
	if (source.type === 'directory') return placeEntries(source, name, destination, there, inspect);
	if (there.type !== 'directory') return [bindOf(source, destination)];
	const inside = join(destination, basename(name));
	const [taken] = await inspect([inside]);
	if (taken?.type === 'directory') throw typesDiffer(name, inside);
	return [bindOf(source, inside)];
}

async function placeEntries(
	source: FoundSource,
	name: string,
	destination: string,
	there: Inspected,
	inspect: InspectImage,
): Promise<readonly HostBind[]> {
	if (there.type !== 'directory') throw typesDiffer(name, destination);
	const names = (await readdir(source.path)).filter((entry) => entry !== '.git').sort();
	if (names.length > BIND_LIMIT) throw tooMany(name, destination);
	const found = await inspect(names.map((entry) => join(destination, entry)));
	const binds: HostBind[] = [];
	for (const [index, entry] of names.entries()) {
		const [path, typed] = [join(destination, entry), join(name, entry)];
		const inner = await findEntry(source, entry, typed);
		const type = found[index]?.type ?? 'missing';
		if (type === 'missing' || (inner.type === 'file' && type !== 'directory')) binds.push(bindOf(inner, path));
		else if (inner.type === 'file') throw typesDiffer(typed, path);
		else binds.push(...(await placeEntries(inner, typed, path, found[index] ?? there, inspect)));
		if (binds.length > BIND_LIMIT) throw tooMany(name, destination);
	}
	return binds;
}

/** A link cannot be mounted as such: what it leads to is, if that is injected, too, as in a secret volume of Kubernetes. */
async function findEntry(source: FoundSource, entry: string, typed: string): Promise<FoundSource> {
	const path = await realpath(join(source.path, entry)).catch(() => undefined);
	if (path?.startsWith(`${source.path}/`) === true) return lookAtSource(OPTION, path, typed);
	throw new BuildError('USAGE', `${OPTION}: the link ${typed} leads out of the directory that is injected`, {
		hint: 'Choose a destination that does not exist in the builder image, where links stay links, or use --volume.',
	});
}

function bindOf({ path, inode, type }: FoundSource, destination: string): HostBind {
	return { source: { type: 'copy', path, inode }, destination, type, readOnly: true };
}

function noParent(destination: string, parent: string): BuildError {
	return new BuildError(
		'USAGE',
		`${OPTION}: ${destination} cannot be made, since ${parent} is no directory of the builder image`,
		{
			hint: 'Choose a destination whose parent directory the builder image has.',
		},
	);
}

function typesDiffer(name: string, destination: string): BuildError {
	return new BuildError('USAGE', `${OPTION}: ${destination} of the builder image is of another type than ${name}`, {
		hint: 'A file cannot take the place of a directory, nor a directory that of a file. Choose another destination.',
	});
}

function tooMany(name: string, destination: string): BuildError {
	return new BuildError('USAGE', `${OPTION}: ${name} has more than ${BIND_LIMIT} entries to add to ${destination}`, {
		hint: 'Choose a destination that does not exist in the builder image, or use --volume.',
	});
}
