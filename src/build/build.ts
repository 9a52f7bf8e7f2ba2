import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { appendLayer, type Image } from '../oci/image.js';
import { familyOf, layerMediaType } from '../oci/media-types.js';
import type { LayerStatistics } from '../rootfs/diff.js';
import { type Contract, readContract } from '../s2i/contract.js';
import { imageChange } from '../s2i/image-change.js';
import { fetchSource } from '../source/fetch.js';
import { parseSource } from '../source/parse.js';
import type { SourceInfo } from '../source/source.js';
import type { WorkerProcess } from '../worker/start.js';
import { type Assembled, assemble } from './assemble.js';
import type { Emit } from './events.js';
import { type OpenedSource, type OpenedTarget, openImageSource, openImageTarget, resolveImage } from './open-image.js';
import { publishImage } from './publish.js';
import { type BuildRecord, createRecord } from './record.js';
import type { BuildRequest } from './request.js';
import type { BuildOutcome } from './result.js';
import { openSession, type Session, transferProgress } from './session.js';
import { type BaseTransfer, startBaseTransfer } from './transfer.js';
import { unpackImage } from './unpack-image.js';

/** Builds `request.source` on top of `request.builder` and publishes the result to `request.targets`. Never rejects. */
export async function build(request: BuildRequest, emit: Emit, signal: AbortSignal): Promise<BuildOutcome> {
	const record = createRecord(emit);
	const failed = new AbortController();
	try {
		await buildImage(request, record, (error) => failed.abort(error), AbortSignal.any([signal, failed.signal]));
		return record.succeeded();
	} catch (error) {
		return record.failed(signal.aborted ? signal.reason : error);
	}
}

/** `fail` stops everything at once when something that nobody is waiting for goes wrong. */
async function buildImage(
	request: BuildRequest,
	record: BuildRecord,
	fail: (error: unknown) => void,
	signal: AbortSignal,
): Promise<void> {
	const source = parseSource(request.source, { ref: request.ref, copy: request.copy });
	await using session = await openSession(
		request,
		{ streams: 'forward', onEvent: transferProgress(record.emit), emit: record.emit },
		signal,
	);
	const directory = join(session.scratch, 'source');

	const fetching = record.stage('source', async () => {
		await mkdir(directory, { mode: 0o755 });
		const emitNotice = (message: string) => record.emit({ type: 'warning', code: 'SOURCE', message });
		const { contextDir, env } = request;
		return fetchSource(source, { contextDir, destination: directory, emitNotice, env }, signal);
	});
	const resolving = record.stage('resolve', () => resolveBuilder(request, session, record, signal));
	const running: Promise<unknown>[] = [fetching, resolving];
	for (const started of [fetching, resolving, session.worker]) started.catch(fail);
	try {
		const { image, builder, targets } = await resolving;
		const base = startBaseTransfer(image, builder.source, targets, { record, scratch: session.scratch }, signal);
		base.done.catch(fail);
		running.push(base.done);
		await buildOn({ image, builder, targets, base, fetching, directory }, request, session, record, signal);
	} catch (error) {
		fail(error);
		await Promise.allSettled(running);
		throw error;
	}
}

interface Started extends ResolvedBuilder {
	readonly base: BaseTransfer;
	readonly fetching: Promise<SourceInfo>;
	/** Where the source is once it is fetched. */
	readonly directory: string;
}

/** From the unpacked builder to the published image. */
async function buildOn(
	{ image, builder, targets, base, fetching, directory }: Started,
	request: BuildRequest,
	session: Session,
	record: BuildRecord,
	signal: AbortSignal,
): Promise<void> {
	const worker = await session.worker;
	await record.stage('pull', () => unpackImage(image, base, worker, session, record.emit));

	const info = atEpoch(await fetching, request.env);
	record.note({ source: describeSource(info) });
	const contract = readContract(image.config.value.config ?? {});
	await worker.call('mount', { diffIds: image.layers.map((layer) => layer.diffId) });
	const { scratch } = session;
	const assembled = await assemble(
		request,
		{ contract, source: directory, scratch, epoch: info.epoch },
		worker,
		record,
	);

	const layerPath = join(scratch, 'layer.tar.gz');
	const statistics = await record.stage('diff', () => diffImage(worker, contract, assembled));
	const layer = { epoch: info.epoch, output: layerPath };
	const { digest, diffId, size } = await record.stage('pack', () => worker.call('pack', layer));
	record.note({ layer: { digest, diffId, size, ...statistics } });
	const mediaType = layerMediaType(familyOf(image.manifest.value.mediaType), 'gzip');
	const blob = { mediaType, digest, size };
	const built = appendLayer(image, { blob, diffId }, imageChangeOf(image, builder, targets, assembled, info));
	await record.stage('push', () => publishImage(built, layerPath, targets, base.done, record, signal));
	record.note({ digest: built.manifest.descriptor.digest, configDigest: built.config.descriptor.digest });
}

interface ResolvedBuilder {
	readonly image: Image;
	readonly builder: OpenedSource;
	readonly targets: readonly OpenedTarget[];
}

async function resolveBuilder(
	request: BuildRequest,
	session: Session,
	record: BuildRecord,
	signal: AbortSignal,
): Promise<ResolvedBuilder> {
	const builder = await openImageSource(request.builder, session.access, signal);
	const targets = await Promise.all(request.targets.map((target) => openImageTarget(target, session.access, signal)));
	const [first] = targets;
	if (first !== undefined) record.note({ name: first.name });
	const image = await resolveImage(builder, request.platform, signal);
	const { digest } = image.manifest.descriptor;
	record.note({ builder: { name: builder.name, digest } });
	record.emit({ type: 'log', level: 1, message: `builder ${builder.name}@${digest}` });
	return { image, builder, targets };
}

async function diffImage(worker: WorkerProcess, contract: Contract, assembled: Assembled): Promise<LayerStatistics> {
	const { uid, gid } = assembled.user;
	const below = (name: string) => join(contract.destination, name);
	const excluded = ['/proc', '/sys', '/dev', below('src'), below('artifacts'), ...contract.volumes];
	const { statistics } = await worker.call('diff', { assembleUser: { uid, gid }, excluded });
	return statistics;
}

function imageChangeOf(
	image: Image,
	builder: OpenedSource,
	targets: readonly OpenedTarget[],
	assembled: Assembled,
	source: SourceInfo,
): ReturnType<typeof imageChange> {
	const { runPath, environment, labels } = assembled;
	const { digest } = image.manifest.descriptor;
	const displayName = targets[0]?.name;
	return imageChange({ runPath, environment, labels, source, builder: { name: builder.name, digest }, displayName });
}

/** SOURCE_DATE_EPOCH of the caller wins over the source's own time (reproducible-builds.org/specs/source-date-epoch). */
function atEpoch(info: SourceInfo, env: BuildRequest['env']): SourceInfo {
	const given = env['SOURCE_DATE_EPOCH'];
	return given !== undefined && /^\d{1,11}$/.test(given) ? { ...info, epoch: Number(given) } : info;
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
