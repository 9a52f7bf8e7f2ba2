import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ImageSource, OpenContent } from '../../content/blob.js';
import { noSpace } from '../../host-fault.js';
import type { Descriptor } from '../../oci/descriptor.js';
import { type Digest, hexOf } from '../../oci/digest.js';
import type { Image } from '../../oci/image.js';
import type { Transfer } from '../events.js';
import type { BuildRecord } from '../record.js';
import type { OpenedTarget } from './open-image.js';

/** The base layers of a build on their way to the targets, and to the worker. */
export interface BaseTransfer {
	/** Opens a layer for the worker; keeps a copy of what targets need too, so that nothing is downloaded twice. */
	readonly open: (digest: string, signal: AbortSignal) => Promise<Readable>;
	/** To be called when it is known which layers the worker will not ask for. */
	readonly settle: (unpacking: ReadonlySet<Digest>) => void;
	/** To be called when the worker asks for no more: what it did not fetch, because another build did, is sent without it. */
	readonly release: () => void;
	/** Resolves when every base layer is at every target. */
	readonly done: Promise<void>;
}

interface Copy {
	readonly path: Promise<string>;
	readonly resolve: (path: string) => void;
	readonly reject: (error: unknown) => void;
}

const PARALLEL = 3;

/** Begins to move the layers of `image` to `targets`: present or mounted where that is possible, else streamed. */
export function startBaseTransfer(
	image: Pick<Image, 'layers'>,
	source: ImageSource,
	targets: readonly OpenedTarget[],
	context: { readonly record: BuildRecord; readonly scratch: string },
	signal: AbortSignal,
): BaseTransfer {
	const { record, scratch } = context;
	const blobs = [...new Map(image.layers.map(({ blob }) => [blob.digest, blob])).values()];
	const needs = new Map(targets.map((target) => [target, placeAll(blobs, source, target, record, signal)]));
	const settled = Promise.withResolvers<ReadonlySet<Digest>>();
	const copies = new Map<Digest, Copy>();
	const isNeeded = async (digest: Digest) => {
		const lists = await Promise.all(needs.values());
		return lists.some((list) => list.some((blob) => blob.digest === digest));
	};
	const download = (blob: Descriptor, stop: AbortSignal) => openCounted(blob, source, record, stop);
	const content = async (blob: Descriptor, unpacking: ReadonlySet<Digest>): Promise<OpenContent> => {
		const path = unpacking.has(blob.digest) ? await copyOf(copies, blob.digest).path.catch(() => undefined) : undefined;
		return path === undefined ? (stop) => download(blob, stop) : () => Promise.resolve(createReadStream(path));
	};
	const send = async (target: OpenedTarget, blob: Descriptor) => {
		await putBlob(blob, await content(blob, await settled.promise), target, record, signal);
	};
	const work = async (target: OpenedTarget, list: Promise<readonly Descriptor[]>) => {
		await inParallel(await list, async (blob) => {
			signal.throwIfAborted();
			await send(target, blob);
		});
	};
	const done = Promise.all([...needs].map(([target, list]) => work(target, list))).then(() => undefined);
	done.catch(() => undefined);
	const release = () => {
		for (const { digest } of blobs) copyOf(copies, digest).reject(new Error('the worker did not need it'));
	};
	const stop = () => {
		settled.resolve(new Set());
		release();
	};
	signal.addEventListener('abort', stop, { once: true });
	return {
		settle: settled.resolve,
		release,
		done,
		open: async (digest, stop) => {
			const blob = blobs.find((each) => each.digest === digest);
			if (blob === undefined) throw new Error('the worker asked for a blob that is not in the image');
			const wanted = await isNeeded(blob.digest).catch(() => false);
			record.emit({ type: 'blob', transfer: 'pull', digest: blob.digest, size: blob.size, status: 'start' });
			const stream = await download(blob, stop);
			if (!wanted) return stream;
			return keepCopy(stream, join(scratch, `blob-${hexOf(blob.digest)}`), copyOf(copies, blob.digest));
		},
	};
}

/** Moves the layers of `image` to `targets`, where nobody else wants them: present or mounted where that is possible, else streamed. */
export function moveLayers(
	image: Pick<Image, 'layers'>,
	source: ImageSource,
	targets: readonly OpenedTarget[],
	context: { readonly record: BuildRecord; readonly scratch: string },
	signal: AbortSignal,
): Promise<void> {
	const moving = startBaseTransfer(image, source, targets, context, signal);
	moving.settle(new Set());
	return moving.done;
}

/** Puts one blob to a target, counting its bytes and telling about it. */
export async function putBlob(
	blob: Descriptor,
	content: OpenContent,
	{ target }: OpenedTarget,
	record: BuildRecord,
	signal: AbortSignal,
): Promise<void> {
	const tell = (status: 'start' | 'done') =>
		record.emit({ type: 'blob', transfer: 'push', digest: blob.digest, size: blob.size, status });
	tell('start');
	await target.put(blob, async (stop) => counted(await content(stop), blob, 'push', record), signal);
	record.count('uploaded', blob.size);
	tell('done');
}

/** The blobs that are not at `target` and could not be mounted there. */
async function placeAll(
	blobs: readonly Descriptor[],
	source: ImageSource,
	{ target }: OpenedTarget,
	record: BuildRecord,
	signal: AbortSignal,
): Promise<readonly Descriptor[]> {
	const left: Descriptor[] = [];
	const place = async (blob: Descriptor) => {
		const present = await target.has(blob, signal);
		const mounted = !present && (await target.mount(blob, source, signal));
		if (!present && !mounted) return void left.push(blob);
		if (mounted) record.count('mounted', blob.size);
		const status = mounted ? 'mounted' : 'present';
		record.emit({ type: 'blob', transfer: 'push', digest: blob.digest, size: blob.size, status });
	};
	await inParallel(blobs, place);
	return left.sort((a, b) => b.size - a.size);
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
	const pending = items.values();
	const next = async () => {
		for (const item of pending) await work(item);
	};
	await Promise.all(Array.from({ length: PARALLEL }, next));
}

async function openCounted(
	blob: Descriptor,
	source: ImageSource,
	record: BuildRecord,
	signal: AbortSignal,
): Promise<Readable> {
	const stream = counted(await source.open(blob, signal), blob, 'pull', record);
	stream.once('end', () => record.count('downloaded', blob.size));
	return stream;
}

function counted(stream: Readable, blob: Descriptor, transfer: Transfer, record: BuildRecord): Readable {
	const { digest, size: total } = blob;
	const report = async function* (chunks: AsyncIterable<Buffer>) {
		let done = 0;
		for await (const chunk of chunks) {
			done += chunk.length;
			record.emit({ type: 'progress', transfer, digest, done, total });
			yield chunk;
		}
	};
	return derived(stream, report);
}

function keepCopy(stream: Readable, path: string, copy: Copy): Readable {
	const write = async function* (chunks: AsyncIterable<Buffer>) {
		const file = await open(path, 'wx', 0o600);
		try {
			for await (const chunk of chunks) {
				await file.write(chunk);
				yield chunk;
			}
			copy.resolve(path);
		} catch (error) {
			const explained = noSpace(error, `a layer that is to be pushed, at ${path}`) ?? error;
			copy.reject(explained);
			throw explained;
		} finally {
			copy.reject(new Error('the download stopped'));
			await file.close();
		}
	};
	return derived(stream, write);
}

/** `stream` with its chunks passed through `pass`. It may be dropped unread, and then nobody else listens for its error. */
function derived(stream: Readable, pass: (chunks: AsyncIterable<Buffer>) => AsyncIterable<Buffer>): Readable {
	stream.on('error', () => undefined);
	const passed = Readable.from(pass(stream as AsyncIterable<Buffer>), { objectMode: false });
	passed.once('close', () => stream.destroy());
	return passed;
}

function copyOf(copies: Map<Digest, Copy>, digest: Digest): Copy {
	const known = copies.get(digest);
	if (known !== undefined) return known;
	const { promise, resolve, reject } = Promise.withResolvers<string>();
	promise.catch(() => undefined);
	const copy = { path: promise, resolve, reject };
	copies.set(digest, copy);
	return copy;
}
