import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir } from 'node:fs/promises';
import { join, posix } from 'node:path';
import {
	type EngineLocation,
	formatImageLocation,
	type ImageLocation,
	isEngineLocation,
	namesImage,
} from '../../content/location.js';
import { isBuildError, messageOf } from '../../errors.js';
import type { Digest } from '../../oci/digest.js';
import { diffIdsOf, type Image } from '../../oci/image.js';
import { isIndex } from '../../oci/manifest.js';
import type { HostBind } from '../../protocol/host-bind.js';
import { redact } from '../../redact.js';
import { type Contract, readContract } from '../../s2i/contract.js';
import type { User } from '../../s2i/users.js';
import type { BuildContext } from '../context.js';
import { resolveWithPolicy } from '../images/image-record.js';
import { recordContext } from '../images/images.js';
import { type OpenedSource, openImageSource, openImageTarget } from '../images/open-image.js';
import { startBaseTransfer } from '../images/transfer.js';
import { unpackImage } from '../images/unpack-image.js';
import { mountRoot, type Root } from '../root.js';
import { runSaveArtifacts } from './save-artifacts.js';

/** What restoring artifacts takes besides the build itself. */
export interface RestoreInput {
	/** The builder's assemble user: it runs save-artifacts, and the artifacts become its. */
	readonly user: User;
	/** The save-artifacts of this build: its path in the container, and on the host when it is not the builder image's own. */
	readonly script: { readonly path: string; readonly hostPath: string | undefined } | undefined;
	/** What the script sees of the host, as assemble does. */
	readonly binds: readonly HostBind[];
}

/** Artifacts of an earlier build. */
export interface RestoredArtifacts {
	/** Host directory in the scratch directory, to be placed at `artifacts` of the destination; its files belong to `owner` already. */
	readonly directory: string;
	readonly owner: { readonly uid: number; readonly gid: number };
	/** Where they come from; undefined for a cache. */
	readonly previous: PreviousImage | undefined;
}

/** The image that a build takes the place of. */
export interface PreviousImage {
	readonly location: ImageLocation;
	/** Of what its tag names; undefined when that is more than this one image. */
	readonly digest: Digest | undefined;
	/** What its local engine knows it by. */
	readonly imageId?: string;
}

/**
 * The artifacts of the previous image (`incremental.previousImage`, else the first target), which its save-artifacts script gives, or
 * the build's own when that does not come from the builder image, so that a new script works at once. To be called while nothing else
 * is unpacked. Undefined, with a reason for the user, when there is no such image or script, or something goes wrong: then the build is a
 * clean one. A previous image that is based on a runtime image has artifacts only when it has the script, too. Rejects when aborted.
 */
export async function restoreArtifacts(
	context: BuildContext,
	input: RestoreInput,
): Promise<RestoredArtifacts | undefined> {
	const { request, record, signal } = context;
	const location = request.incremental.previousImage ?? request.output.targets.slice(0, 1).find(namesImage);
	const explain = (message: string) =>
		record.emit({ type: 'log', level: 1, message: `${message}: a clean build is made` });
	if (location === undefined) {
		explain('there is no tag, hence no previous image');
		return undefined;
	}
	try {
		return await restoreFrom(location, context, input, explain);
	} catch (error) {
		signal.throwIfAborted();
		if (isBuildError(error, 'HOST_WORKER')) throw error;
		const message = `no artifacts of ${formatImageLocation(location)}: ${redact(messageOf(error))}; a clean build is made`;
		record.emit({ type: 'warning', code: 'INCREMENTAL', message });
		return undefined;
	}
}

async function restoreFrom(
	location: ImageLocation,
	context: BuildContext,
	input: RestoreInput,
	explain: (message: string) => void,
): Promise<RestoredArtifacts | undefined> {
	const { request, session } = context;
	const name = formatImageLocation(location);
	const found = await findPrevious(location, context);
	if (found === undefined) {
		explain(`there is no previous image ${name}`);
		return undefined;
	}
	const { image, opened } = found;
	await unpackPrevious(image, opened, context);
	const root = await mountRoot('previous', diffIdsOf(image), context);
	try {
		const { destination } = request.scripts;
		const contract = readContract(image.config.value.config ?? {}, { destination });
		const path = await findScript(contract, input, root);
		if (path === undefined) {
			explain(`${name} has no save-artifacts script`);
			return undefined;
		}
		await prepare(contract, input, root, context);
		const owner = { uid: input.user.uid, gid: input.user.gid };
		const directory = join(session.scratch, 'artifacts');
		const run = { root, path, contract, user: input.user, directory, owner };
		const { entries } = await runSaveArtifacts(run, context);
		if (entries === 0) explain(`save-artifacts of ${name} saved nothing`);
		const { removePrevious: isLeaving } = request.incremental;
		const digest = isLeaving ? await namedDigest(opened, image, context) : undefined;
		const imageId = isLeaving ? (await opened.inspect?.(context.signal))?.id : undefined;
		const previous = { location, digest, ...(imageId !== undefined && { imageId }) };
		return entries === 0 ? undefined : { directory, owner, previous };
	} finally {
		await root.unmount();
	}
}

/** Undefined when it was never built. */
async function findPrevious(
	location: ImageLocation,
	{ request, session, record, signal }: BuildContext,
): Promise<{ readonly image: Image; readonly opened: OpenedSource } | undefined> {
	if ('path' in location && !existsSync(location.path)) return undefined;
	const opened = await openImageSource(location, session.access, signal);
	try {
		const { pullPolicy } = request.incremental;
		const image = await resolveWithPolicy(
			opened,
			pullPolicy,
			recordContext(request.host, session),
			record.emit,
			signal,
		);
		return { image, opened };
	} catch (error) {
		// A layout that has other images says so with IMAGE_INVALID.
		if (isBuildError(error, 'path' in location ? 'IMAGE_INVALID' : 'REGISTRY_NOT_FOUND', 'ENGINE_NO_IMAGE'))
			return undefined;
		throw error;
	}
}

/** Only what the store lacks is pulled: after a build on the same builder, the layer that it added. */
async function unpackPrevious(
	image: Image,
	opened: OpenedSource,
	{ worker, session, record, signal }: BuildContext,
): Promise<void> {
	const layers = startBaseTransfer(image, opened.source, [], { record, scratch: session.scratch }, signal);
	await unpackImage(image, layers, worker, session, record.emit);
}

/** This build's own script, else the one that an earlier build placed in the image, else the one of its builder image. */
async function findScript(
	{ destination, scriptsDir }: Contract,
	{ script }: RestoreInput,
	root: Root,
): Promise<string | undefined> {
	if (script?.hostPath !== undefined) return script.path;
	const placed = posix.join(destination, 'scripts/save-artifacts');
	const inImage = scriptsDir === undefined ? [] : [posix.join(scriptsDir, 'save-artifacts')];
	const stat = [placed, ...(script === undefined ? [] : [script.path]), ...inImage];
	const found = await root.stat(stat);
	return found.find(({ type, mode }) => type === 'file' && (mode & 0o111) !== 0)?.path;
}

async function prepare(
	{ workingDir }: Contract,
	{ script, user, binds }: RestoreInput,
	root: Root,
	{ session }: BuildContext,
): Promise<void> {
	const owner = { uid: user.uid, gid: user.gid };
	const source = join(session.scratch, 'previous-scripts');
	const isOurs = script?.hostPath !== undefined;
	if (isOurs) {
		await mkdir(source, { mode: 0o755 });
		await copyFile(script.hostPath, join(source, 'save-artifacts'));
		await chmod(join(source, 'save-artifacts'), 0o755);
	}
	const placements = isOurs ? [{ source, destination: posix.dirname(script.path), owner, keep: false }] : [];
	await root.prepare({ placements, binds, user: owner, workingDir });
}

/** Deleting one image of an index would leave the index with a hole. */
async function namedDigest(
	{ source, reference, inspect }: OpenedSource,
	image: Image,
	{ signal }: BuildContext,
): Promise<Digest | undefined> {
	if (inspect !== undefined) return undefined;
	const named = await source.manifest(reference, signal);
	const { digest } = named.descriptor;
	return !isIndex(named) && digest === image.manifest.descriptor.digest ? digest : undefined;
}

/**
 * Deletes the image that the build took the place of, by its digest, when its tag now names `built`; registries then forget every
 * other tag of that digest too. In a layout the tag's entry was replaced already, and blobs stay. What a registry refuses is a notice.
 */
export async function removePrevious(
	{ location, digest, imageId }: PreviousImage,
	built: Digest,
	{ session, record, signal }: BuildContext,
): Promise<void> {
	if (isEngineLocation(location)) return removeStored(location, imageId, { session, record, signal });
	if (location.type !== 'registry' || location.reference.digest !== undefined || digest === built) return;
	const name = formatImageLocation(location);
	const notice = (why: string) =>
		record.emit({ type: 'warning', code: 'REMOVE_PREVIOUS', message: `the previous image of ${name} stays: ${why}` });
	if (digest === undefined) {
		notice('its tag named an index of several images');
		return;
	}
	try {
		const { source, reference } = await openImageSource(location, session.access, signal);
		if ((await source.manifest(reference, signal)).descriptor.digest === digest) return;
		const { target } = await openImageTarget(location, session.access, signal);
		await target.remove?.(digest, signal);
		record.emit({ type: 'log', level: 1, message: `removed the previous image ${name}@${digest}` });
	} catch (error) {
		signal.throwIfAborted();
		notice(redact(messageOf(error)));
	}
}

/** An engine forgets by itself what has another name still. */
async function removeStored(
	location: EngineLocation,
	imageId: string | undefined,
	{ session, record, signal }: Pick<BuildContext, 'session' | 'record' | 'signal'>,
): Promise<void> {
	const name = formatImageLocation(location);
	try {
		const engine = await session.access.engine(location.type);
		const now = await engine.find(location.name, signal);
		if (imageId === undefined || now === undefined || now.id === imageId) return;
		await engine.remove(imageId, signal);
		record.emit({ type: 'log', level: 1, message: `removed the previous image of ${name}, ${imageId.slice(0, 12)}` });
	} catch (error) {
		signal.throwIfAborted();
		const message = `the previous image of ${name} stays: ${redact(messageOf(error))}`;
		record.emit({ type: 'warning', code: 'REMOVE_PREVIOUS', message });
	}
}
