import type { ImageLocation } from '../../content/location.js';
import type { Image } from '../../oci/image.js';
import { checkUsers } from '../../s2i/check-user.js';
import type { Contract } from '../../s2i/contract.js';
import { readContract } from '../../s2i/contract.js';
import type { BuildRecord } from '../record.js';
import type { BuildRequest, HostRequest, PullPolicy } from '../request.js';
import type { Session } from '../session.js';
import { type RecordContext, resolveWithPolicy } from './image-record.js';
import { type OpenedSource, type OpenedTarget, openImageSource, openImageTarget } from './open-image.js';

/** An image whose layers can be fetched. */
export interface OpenedImage {
	readonly image: Image;
	readonly opened: OpenedSource;
}

/** An image that a build starts from. */
export interface BaseImage extends OpenedImage {
	readonly contract: Contract;
}

/** Every image of a build that is not made by it. */
export interface BuildImages {
	readonly builder: BaseImage;
	/** What the result is based on instead of the builder. */
	readonly runtime: BaseImage | undefined;
	/** What files of the source are copied from. */
	readonly sources: readonly OpenedImage[];
	readonly targets: readonly OpenedTarget[];
}

/** Finds the images of `request` and checks what they say of users; no layer is fetched. Throws IMAGE_USER_NOT_ALLOWED and what registries answer. */
export async function resolveImages(
	request: BuildRequest,
	session: Session,
	record: BuildRecord,
	signal: AbortSignal,
): Promise<BuildImages> {
	const targets = await Promise.all(
		request.output.targets.map((target) => openImageTarget(target, session.access, signal)),
	);
	const [first] = targets;
	if (first !== undefined) record.note({ name: first.name });
	const context = { request, session, record };
	const resolve = (role: 'builder' | 'runtime', location: ImageLocation, policy: PullPolicy) =>
		resolveBase(role, location, policy, context, signal);
	const { runtime: wanted, source } = request;
	const [builder, runtime, sources] = await Promise.all([
		resolve('builder', request.builder, request.pullPolicy),
		wanted === undefined ? undefined : resolve('runtime', wanted.image, wanted.pullPolicy),
		Promise.all((source.images ?? []).map((each) => openImage(each.image, each.pullPolicy, context, signal))),
	]);
	record.note({ builder: { name: builder.opened.name, digest: builder.image.manifest.descriptor.digest } });
	return { builder, runtime, sources, targets };
}

interface ResolveContext {
	readonly request: BuildRequest;
	readonly session: Session;
	readonly record: BuildRecord;
}

async function openImage(
	location: ImageLocation,
	policy: PullPolicy,
	{ request, session, record }: ResolveContext,
	signal: AbortSignal,
): Promise<OpenedImage> {
	const opened = await openImageSource(location, session.access, signal);
	const image = await resolveWithPolicy(opened, policy, recordContext(request.host, session), record.emit, signal);
	return { image, opened };
}

async function resolveBase(
	role: 'builder' | 'runtime',
	location: ImageLocation,
	policy: PullPolicy,
	context: ResolveContext,
	signal: AbortSignal,
): Promise<BaseImage> {
	const { request, record } = context;
	const { image, opened } = await openImage(location, policy, context, signal);
	const { destination, assembleUser, allowedUids } = request.scripts;
	const overrides = {
		assembleRuntimeUser: request.runtime?.user,
		...(role === 'builder' && { destination, assembleUser }),
	};
	const contract = readContract(image.config.value.config ?? {}, overrides);
	for (const message of contract.deprecations) record.emit({ type: 'warning', code: 'DEPRECATED', message });
	if (allowedUids !== undefined) checkUsers(contract, role, allowedUids);
	record.emit({ type: 'log', level: 1, message: `${role} ${opened.name}@${image.manifest.descriptor.digest}` });
	return { image, opened, contract };
}

/** Where manifests are remembered, and how to find out whether an image can do without its registry. */
export function recordContext({ store, platform }: HostRequest, session: Session): RecordContext {
	return {
		store,
		platform,
		present: async (diffIds) => {
			const worker = await session.worker;
			const { present } = await worker.call('present', { diffIds });
			return present.length === diffIds.length;
		},
	};
}
