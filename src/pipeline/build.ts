import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileText } from '../file-text.js';
import type { WorkerProcess } from '../host/start-worker.js';
import type { Digest } from '../oci/digest.js';
import type { Image } from '../oci/image.js';
import { redact } from '../redact.js';
import { chooseTimestamp } from '../s2i/timestamp.js';
import { describeBounds } from '../sandbox/job-bounds.js';
import { keepHeapSmall } from '../small-heap.js';
import { addFiles } from '../source/add-files.js';
import { fetchSource } from '../source/fetch.js';
import { parseSource } from '../source/parse.js';
import type { Source, SourceInfo } from '../source/source.js';
import { checkBeforePush, runBeforePush } from './before-push.js';
import { listenFor } from './callback/report-callback.js';
import type { BuildContext } from './context.js';
import type { Emit } from './events.js';
import { fitInPlace, pullFor } from './fit-in-place.js';
import { orEndOfWorker, untilFault } from './give-up.js';
import { recordBuilt } from './images/built-here.js';
import { resolveImages } from './images/images.js';
import { admitAll, publishImage } from './images/publish.js';
import { checkLabels, makeResultImage } from './images/result-image.js';
import { type BaseTransfer, startBaseTransfer } from './images/transfer.js';
import { tryLine } from './images/try-it.js';
import { saveToCache } from './incremental/artifact-cache.js';
import { removePrevious } from './incremental/incremental.js';
import { makeLayer, unpackImages } from './make-layer.js';
import type { FetchedSource, Prepared } from './prepare/prepare.js';
import { keepUnpushed } from './push/keep-unpushed.js';
import { type BuildRecord, createRecord, factsOf } from './record.js';
import { checkReproducible, copySource } from './reproducible/reproducible.js';
import type { BuildRequest } from './request.js';
import type { BuildOutcome } from './result.js';
import { openReuse, type Reuse } from './reuse/reuse.js';
import { digestSource, seemsChanged } from './reuse/seems-changed.js';
import type { Root } from './root.js';
import { describeRung } from './rung.js';
import { openSession, reportWorker, type Session } from './session.js';
import { checkAbove, settleStore } from './store/settle-store.js';

const UNKEPT = 'the image is not kept: give a tag, or --output oci:DIR';

/** Builds `request.source` on top of `request.builder` and publishes the result to the targets of `request.output`. Never rejects. */
export async function build(request: BuildRequest, emit: Emit, signal: AbortSignal): Promise<BuildOutcome> {
	keepHeapSmall();
	const listener = listenFor(request, emit, signal);
	const record = createRecord(listener.emit);
	const failed = new AbortController();
	try {
		if (request.output.beforePush !== undefined) checkBeforePush(request.output.beforePush);
		const stop = AbortSignal.any([signal, failed.signal]);
		const image = await untilFault(
			buildImage({ ...request, host: settleStore(request.host) }, record, (error) => failed.abort(error), stop),
			signal,
		);
		const [target] = request.output.targets;
		const config = image.config.value.config ?? {};
		const advice =
			target === undefined ? UNKEPT : `try it: ${tryLine(target, config, image.manifest.descriptor.digest)}`;
		record.emit({ type: 'log', level: 1, message: advice });
		return await listener.tell(record.succeeded(), config.Labels ?? {});
	} catch (error) {
		return listener.tell(record.failed(signal.aborted ? signal.reason : error), {});
	}
}

/** `fail` stops everything at once when something that nobody is waiting for goes wrong. */
async function buildImage(
	request: BuildRequest,
	record: BuildRecord,
	fail: (error: unknown) => void,
	signal: AbortSignal,
): Promise<Image> {
	const source = parseSource(request.source.location, request.source);
	record.emit({ type: 'log', level: 2, message: `Store: ${redact(request.host.store)}` });
	const onEvent = reportWorker(record.emit);
	const options = { streams: 'forward', onEvent, emit: record.emit, keep: request.output.saveTempDir } as const;
	const idle = new AbortController();
	const used = AbortSignal.any([signal, idle.signal]);
	const changed = Promise.withResolvers<undefined>();
	const mayStart = changed.promise;
	await using session = await openSession(request.host, { ...options, inUse: pathsOf(request), mayStart }, used);
	checkAbove(request.host);
	const fetching = record.stage('source', () => fetchInto(source, request, session, record, signal));
	const resolving = record.stage('resolve', () => resolveImages(request, session, record, signal));
	const digesting = digestSource(request, fetching, signal);
	void seemsChanged(request, digesting).then(() => changed.resolve(undefined));
	const running: Promise<unknown>[] = [fetching, resolving];
	const explain = (error: unknown) => orEndOfWorker(error, session.worker, signal);
	for (const started of [fetching, resolving]) started.catch(async (error: unknown) => fail(await explain(error)));
	session.worker.catch((error: unknown) => idle.signal.aborted || fail(error));
	try {
		const images = await resolving;
		const reuse = openReuse({ request, session, record, images, signal }, fetching, digesting);
		const known = await reuse.find();
		if (known !== undefined) {
			idle.abort();
			record.note({ source: describeSource((await fetching).info), ...factsOf(known), reused: true });
			return known;
		}
		changed.resolve(undefined);
		const { image, opened } = images.runtime ?? images.builder;
		const base = startBaseTransfer(image, opened.source, images.targets, { record, scratch: session.scratch }, signal);
		base.done.catch(fail);
		running.push(base.done);
		const admitted = admitAll(images.targets, signal);
		admitted.catch(fail);
		running.push(admitted);
		const worker = await session.worker;
		record.rung(await describeRung(worker, request.host));
		reportBounds(worker, request, record);
		checkAbove({ ...request.host, rootfs: worker.rootfs });
		const fitting = fitInPlace(request, images, worker, record.emit);
		const context: BuildContext = { request: fitting, session, worker, record, images, signal };
		const live = { image: images.builder.image, name: images.builder.opened.name };
		await record.stage('pull', () =>
			pullFor(live, { host: request.host, source: request.source.location, worker }, () => unpackImages(context, base)),
		);
		await admitted;
		return await buildOn(context, await fetching, base, reuse);
	} catch (error) {
		const reason = await explain(error);
		fail(reason);
		await Promise.allSettled(running);
		throw reason;
	}
}

/** From the unpacked images to the published one, which it resolves with. */
async function buildOn(context: BuildContext, source: FetchedSource, base: BaseTransfer, reuse: Reuse): Promise<Image> {
	const { request, record, images, signal } = context;
	const { info } = source;
	const began = Date.now();
	record.note({ source: describeSource(info) });
	checkLabels(context, info);
	const again = request.output.checkReproducible ? await copySource(source, context) : undefined;
	const key = await reuse.label();
	const made = await makeLayer(context, source);
	const { prepared, assembled, layer, statistics, path } = made;
	record.note({ layer: { digest: layer.digest, diffId: layer.diffId, size: layer.size, ...statistics } });
	if (again !== undefined) await record.stage('check', () => checkReproducible(context, again, made, began));
	const built = await makeResultImage(context, info, assembled, layer, key);
	const clearing = clear(context, assembled.root);
	if (request.output.beforePush !== undefined) {
		await clearing;
		await record.stage('before-push', () => runBeforePush(context, built, path));
	}
	const publish = () => publishImage(built, path, images.targets, base.done, record, signal);
	await record.stage('push', publish).catch((error: unknown) => keepUnpushed(error, built, path, context));
	await clearing;
	const facts = factsOf(built);
	record.note(facts);
	await recordBuilt(request.host.store, facts.configDigest);
	await reuse.remember(built, assembled.labels);
	await keepArtifacts(context, source, prepared, facts.digest);
	return built;
}

/** Removes what assemble made, while the image is pushed, unless somebody still wants it. */
function clear({ request }: BuildContext, root: Root): Promise<void> {
	const isWanted = request.output.saveTempDir || request.incremental.cacheTo.length > 0;
	return isWanted ? Promise.resolve() : root.unmount();
}

/** What the next build is to find, and what it is not to find any more. */
async function keepArtifacts(
	context: BuildContext,
	{ info }: FetchedSource,
	{ root, user, contract, scripts, artifacts }: Prepared,
	built: Digest,
): Promise<void> {
	const { incremental } = context.request;
	const script = scripts.get('save-artifacts')?.path;
	await saveToCache(context, { source: info, root, user, contract, script, image: built });
	const previous = artifacts?.previous;
	if (incremental.removePrevious && previous !== undefined) await removePrevious(previous, built, context);
}

/** What of the host the worker will show to assemble. */
function pathsOf({ assemble: { volumes, injections, secrets }, host: { caBundle } }: BuildRequest): readonly string[] {
	const files = secrets.flatMap(({ from }) => ('file' in from ? [from.file] : []));
	const mounts = [...volumes, ...injections].map(({ source }) => source);
	return [...mounts, ...files, ...(caBundle === undefined ? [] : [caBundle])];
}

async function fetchInto(
	source: Source,
	request: BuildRequest,
	session: Session,
	record: BuildRecord,
	signal: AbortSignal,
): Promise<FetchedSource> {
	const directory = join(session.scratch, 'source');
	await mkdir(directory, { mode: 0o755 });
	const { contextDir, keepSymlinks, ignoreSubmodules, exclude } = request.source;
	const { files = [], gitEnvironment } = request.source;
	const { stdin } = request.host;
	const env = { ...request.host.env, ...gitEnvironment };
	const emitNotice = (message: string) => record.emit({ type: 'warning', code: 'SOURCE', message });
	const wanted = { contextDir, keepSymlinks, ignoreSubmodules, exclude, env };
	const given = { destination: directory, emitNotice, stdin: stdin(), http: session.http };
	const info = await fetchSource(source, { ...wanted, ...given }, signal);
	await addFiles(directory, files);
	return { info: atTime(info, request), directory };
}

/** What the caller says of the time of the build wins over the source's own. */
function atTime(info: SourceInfo, { output, host }: BuildRequest): SourceInfo {
	const { timestamp } = output;
	const sourceDateEpoch = host.env['SOURCE_DATE_EPOCH'];
	return { ...info, epoch: chooseTimestamp({ timestamp, sourceDateEpoch, source: info.epoch }) };
}

function describeSource({
	location,
	contextDir,
	commit,
	ref,
	message,
}: SourceInfo): object & { readonly location: string } {
	return {
		location,
		...(contextDir !== undefined && { contextDir }),
		...(commit !== undefined && { commit }),
		...(ref !== undefined && { ref }),
		...(message !== undefined && { message }),
	};
}

function reportBounds(
	{ userNamespace, bounds: outside }: WorkerProcess,
	{ assemble }: BuildRequest,
	{ emit }: BuildRecord,
): void {
	const bounds = describeBounds(fileText('/proc/self/status'), userNamespace, assemble.limits);
	for (const message of [...bounds, ...outside]) emit({ type: 'log', level: 3, message });
}
