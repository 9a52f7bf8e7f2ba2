import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { BuildError, messageOf } from '../../errors.js';
import { latin1Path, printablePath, type RawPath } from '../../root-path.js';
import { isInPlace } from '../../sandbox/ladder.js';
import { type ContentWanted, type LayerMember, type LayerMembers, readLayerMembers } from '../../tar/layer-members.js';
import type { BuildContext } from '../context.js';
import { startBaseTransfer } from '../images/transfer.js';
import { type MadeLayer, makeLayer, unpackImages } from '../make-layer.js';
import type { FetchedSource } from '../prepare/prepare.js';
import { createRecord } from '../record.js';
import { openSession } from '../session.js';
import { type Cause, type Difference, explainContent } from './explain-content.js';

const run = promisify(execFile);
const SHOWN = 20;
const CONTENT_BUDGET = 64 * 1024 * 1024;
/** zip keeps times in steps of two seconds. */
const APART_MS = 2100;
const NOTHING = { has: () => false, budget: 0 };

const HINTS: Readonly<Partial<Record<Cause, string>>> = {
	'python-bytecode':
		'Set PYTHONDONTWRITEBYTECODE=1, or compile with --invalidation-mode checked-hash, or delete __pycache__.',
	'gzip-time': 'Compress with gzip -n.',
	'member-order': 'Have the archive written with sorted names: tar --sort=name, or find | LC_ALL=C sort | zip -X -@.',
	'member-times':
		'Have the archive written with one time: tar --mtime=@$SOURCE_DATE_EPOCH, or touch the files first and zip -X.',
	'line-order': 'Sort what is written: LC_ALL=C sort.',
	time: 'Take the time from $SOURCE_DATE_EPOCH, which assemble gets, instead of the clock.',
	identifier: 'Derive the value from the source instead of drawing it by chance.',
	path: 'Let assemble work in a directory whose name is always the same, not in one of mktemp.',
	attributes: 'Set modes and times in assemble rather than leaving them to chance.',
	'only-once': 'Remove what assemble leaves by chance: caches, logs, temporary files.',
};

/**
 * A copy of `source`, which a build moves away, for a second build. Attributes, links and times are kept. Throws HOST_IN_PLACE where
 * there is but one root filesystem.
 */
export async function copySource(
	source: FetchedSource,
	{ session, worker, signal }: Pick<BuildContext, 'session' | 'worker' | 'signal'>,
): Promise<FetchedSource> {
	if (isInPlace(worker.rootfs)) {
		const message = '--check-reproducible needs a second root filesystem, and in place there is one';
		throw new BuildError('HOST_IN_PLACE', message, {
			hint: 'Run the check where namespaces are allowed: s2oci doctor tells what this host lacks.',
		});
	}
	const directory = join(session.scratch, 'source-again');
	try {
		await run('cp', ['-a', '--', source.directory, directory], { signal });
		return { ...source, directory };
	} catch (cause) {
		signal.throwIfAborted();
		throw new BuildError('HOST_STORE', `the source could not be copied for a second build: ${messageOf(cause)}`, {
			hint: 'Is there space in the store? Name another place with --store DIR.',
			cause,
		});
	}
}

/**
 * Builds `source` again, in another scratch directory, worker and root filesystem, at least two seconds after `began` (ms since 1970),
 * and compares the layers. Tells `record` of the result. Throws ASSEMBLE_NOT_REPRODUCIBLE that names what differs.
 */
export async function checkReproducible(
	context: BuildContext,
	source: FetchedSource,
	first: MadeLayer,
	began: number,
): Promise<void> {
	const { request, images, record, signal } = context;
	await delay(Math.max(0, began + APART_MS - Date.now()), undefined, { signal });
	const silent = createRecord(() => undefined);
	await using session = await openSession(
		request.host,
		{ streams: 'forward', onEvent: () => undefined, emit: silent.emit },
		signal,
	);
	const worker = await session.worker;
	const again: BuildContext = { ...context, session, worker, record: silent };
	const { image, opened } = images.runtime ?? images.builder;
	const base = startBaseTransfer(image, opened.source, [], { record: silent, scratch: session.scratch }, signal);
	await unpackImages(again, base);
	const second = await makeLayer(again, source);
	if (second.layer.diffId !== first.layer.diffId) {
		const { total, differences } = await compareLayers(first.path, second.path, signal);
		record.note({ reproducible: { same: false, total, differences } });
		throw notReproducible(total, differences);
	}
	record.note({ reproducible: { same: true, total: 0, differences: [] } });
	record.emit({ type: 'log', level: 0, message: `reproducible: two builds gave the same layer ${first.layer.diffId}` });
}

async function compareLayers(
	first: string,
	second: string,
	signal: AbortSignal,
): Promise<{ readonly total: number; readonly differences: readonly Difference[] }> {
	const read = (path: string, wanted: ContentWanted) => readLayerMembers(path, wanted, signal);
	const paths = directoriesLast(await read(first, NOTHING), await read(second, NOTHING));
	const shown = paths.slice(0, SHOWN);
	const wanted = { has: (path: RawPath) => shown.includes(path), budget: CONTENT_BUDGET };
	const [one, other] = [await read(first, wanted), await read(second, wanted)];
	const differences = await Promise.all(shown.map((path) => explainDifference(path, one.get(path), other.get(path))));
	return { total: paths.length, differences };
}

/** The paths that differ. Directories come last, since most differ only because of what is in them. */
function directoriesLast(first: LayerMembers, second: LayerMembers): readonly RawPath[] {
	const paths = differingPaths(first, second);
	const isDirectory = (path: RawPath) => (first.get(path) ?? second.get(path))?.entry.type === 'directory';
	return [...paths.filter((path) => !isDirectory(path)), ...paths.filter(isDirectory)];
}

function notReproducible(total: number, differences: readonly Difference[]): BuildError {
	const files = total === 1 ? '1 file differs' : `${String(total)} files differ`;
	const lines = differences.map(({ path, reason }) => `  ${path}: ${reason}`);
	const more = total > differences.length ? [`  and ${String(total - differences.length)} more`] : [];
	const hints = [...new Set(differences.flatMap(({ cause }) => HINTS[cause] ?? []))].slice(0, 3);
	return new BuildError(
		'ASSEMBLE_NOT_REPRODUCIBLE',
		[
			`two builds of the same source gave different layers: ${files}, and nothing was published`,
			...lines,
			...more,
		].join('\n'),
		{
			hint: hints.length > 0 ? hints.join(' ') : 'Find out what in assemble writes these files differently each time.',
		},
	);
}

/** The paths at which two layers differ, sorted by their bytes. */
export function differingPaths(first: LayerMembers, second: LayerMembers): readonly RawPath[] {
	const all = new Set([...first.keys(), ...second.keys()]);
	return [...all].filter((path) => !isSame(first.get(path), second.get(path))).sort();
}

/** What the likely cause of a difference at `path` is. At least one of the members is there. */
export async function explainDifference(
	path: RawPath,
	first: LayerMember | undefined,
	second: LayerMember | undefined,
): Promise<Difference> {
	const at = printablePath(path);
	if (first === undefined) return { path: at, cause: 'only-once', reason: 'is only in the second build' };
	if (second === undefined) return { path: at, cause: 'only-once', reason: 'is only in the first build' };
	const attributes = differingAttributes(first, second);
	if (attributes.length > 0) return { path: at, cause: 'attributes', reason: attributes.join(', ') };
	if (first.content === undefined || second.content === undefined) {
		return { path: at, cause: 'unknown', reason: 'differs, and is too large to look into' };
	}
	return { path: at, ...(await explainContent(at, first.content, second.content)) };
}

function isSame(first: LayerMember | undefined, second: LayerMember | undefined): boolean {
	if (first === undefined || second === undefined) return false;
	return first.sha256 === second.sha256 && differingAttributes(first, second).length === 0;
}

function differingAttributes({ entry: first }: LayerMember, { entry: second }: LayerMember): readonly string[] {
	const changes: readonly (readonly [string, string | number, string | number])[] = [
		['type', first.type, second.type],
		['mode', first.mode.toString(8), second.mode.toString(8)],
		['owner', `${first.uid}:${first.gid}`, `${second.uid}:${second.gid}`],
		['time', first.mtime, second.mtime],
		['link target', printablePath(first.linkPath), printablePath(second.linkPath)],
		['device', `${first.deviceMajor}:${first.deviceMinor}`, `${second.deviceMajor}:${second.deviceMinor}`],
		['extended attributes', xattrsOf(first), xattrsOf(second)],
	];
	return changes.flatMap(([name, one, other]) => (one === other ? [] : `has the ${name} ${one}, then ${other}`));
}

function xattrsOf({ xattrs }: LayerMember['entry']): string {
	return [...xattrs]
		.map(([name, value]) => `${printablePath(latin1Path(name))}=${value.toString('hex')}`)
		.sort()
		.join(' ');
}
