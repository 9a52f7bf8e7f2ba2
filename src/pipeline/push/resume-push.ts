import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import * as v from 'valibot';
import type { ImageSource } from '../../content/blob.js';
import { formatImageLocation, parseImageLocation, withoutTag } from '../../content/location.js';
import { verifyStream } from '../../content/verify.js';
import { BuildError, isBuildError, messageOf } from '../../errors.js';
import { findStore } from '../../host/store-place.js';
import { parseJson } from '../../json.js';
import type { Descriptor } from '../../oci/descriptor.js';
import type { Image } from '../../oci/image.js';
import { redact } from '../../redact.js';
import { readSmallFile } from '../../small-file.js';
import type { Emit } from '../events.js';
import { recordBuilt } from '../images/built-here.js';
import { type OpenedSource, type OpenedTarget, openImageSource, openImageTarget } from '../images/open-image.js';
import { moveLayers } from '../images/transfer.js';
import { type BuildRecord, createRecord, factsOf } from '../record.js';
import type { HostRequest } from '../request.js';
import type { BuildOutcome } from '../result.js';
import { openSession, type Session } from '../session.js';
import { resumeLine } from './keep-unpushed.js';
import { forgetUnpushed, readUnpushed, storeOf, type Unpushed } from './unpushed.js';

/** What finishing a push is told. */
export interface ResumeRequest {
	/** Its store is that of the build. */
	readonly host: HostRequest;
	/** The result file of the build, or the file that it names. */
	readonly file: string;
}

const MAX_FILE_BYTES = 64 * 2 ** 20;
const pointer = v.object({ unpushed: v.string() });

/**
 * Pushes what a build whose push failed has kept, and removes it then. Nothing is built; layers that are at a target stay, credentials are
 * looked up anew, and every byte that was kept is verified before any is sent. Never rejects: fails with USAGE for a file that names
 * nothing that is kept, DIGEST_MISMATCH for kept bytes that changed, HOST_STORE, and what targets answer.
 */
export async function resumePush(request: ResumeRequest, emit: Emit, signal: AbortSignal): Promise<BuildOutcome> {
	const record = createRecord(emit);
	try {
		await push(request, record, signal);
		return record.succeeded();
	} catch (error) {
		return record.failed(signal.aborted ? signal.reason : error);
	}
}

async function push({ host, file }: ResumeRequest, record: BuildRecord, signal: AbortSignal): Promise<void> {
	const path = await findKept(file);
	const store = storeOf(path);
	if (store === undefined || findStore(store) !== store)
		throw nothingKept(file, 'it does not say what a build has kept');
	const kept = await readUnpushed(path).catch((error: unknown) => {
		throw nothingKept(file, `what it names, ${redact(path)}, cannot be used: ${redact(messageOf(error))}`);
	});
	const idle = new AbortController();
	const used = AbortSignal.any([signal, idle.signal]);
	// Never, unless a local engine is to be read.
	const mayStart = new Promise(() => undefined);
	const options = { streams: 'forward', onEvent: () => undefined, emit: record.emit, mayStart } as const;
	await using session = await openSession({ ...host, store }, options, used);
	try {
		await record
			.stage('push', () => sendKept(kept, session, record, signal))
			.catch((error: unknown) => {
				record.note({ unpushed: path });
				throw isBuildError(error) ? again(error, file, host) : error;
			});
		const facts = factsOf(kept.image);
		record.note(facts);
		await forgetUnpushed(path);
		await recordBuilt(store, facts.configDigest);
	} finally {
		idle.abort();
	}
}

/** The file that was kept, which `file` is or, as a result, names. */
async function findKept(file: string): Promise<string> {
	if (storeOf(file) !== undefined) return file;
	const read = async () => parseJson((await readSmallFile(file, MAX_FILE_BYTES)).toString('utf8'));
	const result = await read().catch((error: unknown) => {
		throw nothingKept(file, `it cannot be read: ${redact(messageOf(error))}`);
	});
	const found = v.safeParse(pointer, result);
	if (found.success) return found.output.unpushed;
	throw nothingKept(file, 'it is not the result of a build whose push failed');
}

function nothingKept(file: string, why: string): BuildError {
	return new BuildError('USAGE', `there is nothing to push by ${JSON.stringify(redact(file).slice(0, 200))}: ${why}`, {
		hint: 'Name the --result-file of a build whose push failed, on the host and with the store of that build; else build again.',
	});
}

function again({ code, message, hint = '', cause }: BuildError, file: string, host: HostRequest): BuildError {
	if (code === 'DIGEST_MISMATCH' || code === 'INTERRUPTED') return new BuildError(code, message, { hint, cause });
	const next = `Then try again: ${resumeLine(file, host)}`;
	return new BuildError(code, message, { hint: `${hint} ${next}`.trim(), cause });
}

/** At each target all layers, then the config, then the manifest. */
async function sendKept(
	{ image, layerPath, targets: named, base }: Unpushed,
	{ access, scratch }: Session,
	record: BuildRecord,
	signal: AbortSignal,
): Promise<void> {
	const locations = named.map(({ image: text, tagged }) => {
		const location = parseImageLocation(text);
		return tagged ? location : withoutTag(location);
	});
	const layers = image.layers.slice(0, -1);
	const own = image.layers.slice(-1);
	for (const { blob } of own) await verifyKept(layerPath, blob);
	const targets = await Promise.all(locations.map((location) => openImageTarget(location, access, signal)));
	const [first] = locations;
	if (first !== undefined) record.note({ name: formatImageLocation(first) });
	const opened = await openImageSource(parseImageLocation(base), access, signal);
	const context = { record, scratch };
	const stop = new AbortController();
	const either = AbortSignal.any([signal, stop.signal]);
	const moving = [
		moveLayers({ layers }, sourceOf(opened), targets, context, either),
		moveLayers({ layers: own }, keptSource(layerPath), targets, context, either),
	];
	try {
		await Promise.all(moving);
		for (const target of targets) await putDocuments(image, target, record, signal);
	} catch (error) {
		stop.abort(error);
		await Promise.allSettled(moving);
		throw error;
	}
}

async function putDocuments(
	{ config, manifest }: Image,
	{ target, tag, name, done }: OpenedTarget,
	record: BuildRecord,
	signal: AbortSignal,
): Promise<void> {
	const content = () => Promise.resolve(Readable.from([config.bytes], { objectMode: false }));
	await target.put(config.descriptor, content, signal);
	await target.putManifest(manifest, tag, signal);
	record.emit({ type: 'log', level: 1, message: `${done} ${name}@${manifest.descriptor.digest}` });
}

async function verifyKept(path: string, blob: Descriptor): Promise<void> {
	try {
		await finished(verifyStream(createReadStream(path), blob, `the layer that was kept as ${path}`).resume());
	} catch (error) {
		const [code, why] = isBuildError(error) ? [error.code, error.message] : (['USAGE', messageOf(error)] as const);
		throw new BuildError(code, redact(why), { hint: 'What was kept is damaged or gone; build again.', cause: error });
	}
}

function keptSource(path: string): ImageSource {
	return {
		open: (blob) => Promise.resolve(verifyStream(createReadStream(path), blob, `the layer that was kept as ${path}`)),
		manifest: () => Promise.reject(new Error('a layer has no manifest')),
	};
}

/** Archives and local engines know their layers only once their manifest was read. */
function sourceOf({ source, reference, repository }: OpenedSource): ImageSource {
	if (repository !== undefined) return source;
	let reading: Promise<unknown> | undefined;
	return {
		manifest: (wanted, signal) => source.manifest(wanted, signal),
		open: async (blob, signal) => {
			await (reading ??= source.manifest(reference, signal));
			return source.open(blob, signal);
		},
	};
}
