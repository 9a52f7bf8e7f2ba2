import { lstat, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BuildError, isBuildError } from '../errors.js';
import type { WorkerProcess } from '../host/start-worker.js';
import { ALLOW_NAMESPACES, noNamespaces } from '../host/user-namespace.js';
import { diffIdsOf, type Image } from '../oci/image.js';
import type { WorkerCalls } from '../protocol/worker-calls.js';
import { checkResolvedUser } from '../s2i/check-user.js';
import { readContract } from '../s2i/contract.js';
import { isInPlace } from '../sandbox/ladder.js';
import type { Emit } from './events.js';
import type { BaseImage, BuildImages } from './images/images.js';
import { CA_BUNDLE_PATH } from './prepare/host-files.js';
import type { AssembleRequest, BuildRequest, HostRequest } from './request.js';

/** The image that the job may run in. */
interface LiveImage {
	readonly image: Image;
	/** For messages. */
	readonly name: string;
}

type AdoptRequest = WorkerCalls['adopt']['request'];

interface LiveContext {
	readonly host: HostRequest;
	/** Where the source is, as typed. */
	readonly source?: string;
	readonly worker: WorkerProcess;
}

/** Where runners and platforms keep what is theirs, as their jobs are told. */
const FOLDER_VARIABLES: readonly string[] = [
	...['CI_PROJECT_DIR', 'CI_BUILDS_DIR', 'GITHUB_WORKSPACE', 'RUNNER_TEMP', 'RUNNER_TOOL_CACHE', 'WORKSPACE'],
];
const FOLDERS: readonly string[] = ['/__w', '/__e', '/github', '/home/jenkins/agent', '/workspace', '/tekton'];
const PROGRAM = fileURLToPath(new URL('../..', import.meta.url));

/**
 * `request` as far as it can be done by `worker`; what cannot be done in place is left out with a warning where the image stays the same.
 * Throws HOST_IN_PLACE otherwise, and IMAGE_USER_NOT_ALLOWED for our own user.
 */
export function fitInPlace(
	request: BuildRequest,
	{ builder, runtime }: BuildImages,
	worker: WorkerProcess,
	emit: Emit,
): BuildRequest {
	if (!isInPlace(worker.rootfs)) return request;
	refuseImpossible(request, builder, runtime !== undefined);
	for (const message of unenforced(request.assemble.limits)) emit({ type: 'warning', code: 'LIMITS', message });
	for (const message of worker.notices) emit({ type: 'warning', code: 'IN_PLACE', message });
	const { incremental } = request;
	if (!incremental.enabled) return request;
	const message = 'in place there is no second root filesystem for the previous image; a clean build is made';
	emit({ type: 'warning', code: 'INCREMENTAL', message });
	return { ...request, incremental: { ...incremental, enabled: false } };
}

function refuseImpossible(request: BuildRequest, builder: BaseImage, hasRuntime: boolean): void {
	if (hasRuntime) throw impossible('a runtime image', 'another root filesystem');
	if ((request.source.images ?? []).length > 0) throw impossible('an image as a source', 'another root filesystem');
	if (builder.contract.onBuild.length > 0) throw impossible('a builder image with ONBUILD', 'the right to be any user');
	if (request.assemble.volumes.length > 0) throw impossible('--volume', 'mounts');
	if (request.output.beforePush !== undefined)
		throw impossible('--before-push', 'a root filesystem of the built image');
	if (request.output.checkReproducible) throw impossible('--check-reproducible', 'a second root filesystem');
	const uid = process.getuid?.() ?? 0;
	if (request.scripts.allowedUids !== undefined) checkResolvedUser(String(uid), uid, request.scripts.allowedUids);
}

/** What other sandboxes set by themselves. */
function unenforced({ addHosts, capDrop }: AssembleRequest['limits']): readonly string[] {
	const options = [...(addHosts.length > 0 ? ['--add-host'] : []), ...(capDrop.length > 0 ? ['--cap-drop'] : [])];
	return options.map((option) => `${option}: in place there is no sandbox to set it`);
}

/**
 * Runs `pull`, which brings the layers of `live` into the store, and in place then makes sure that this container runs that image, as far
 * as possible before anything is pulled. Throws HOST_NOT_BUILDER; HOST_NO_NAMESPACES where in place was only tried because nothing else
 * is possible.
 */
export async function pullFor(live: LiveImage, context: LiveContext, pull: () => Promise<void>): Promise<void> {
	const { worker } = context;
	if (!isInPlace(worker.rootfs)) return pull();
	const { image, name } = live;
	try {
		const { scriptsDir } = readContract(image.config.value.config ?? {});
		const scripts = scriptsDir === undefined ? [] : SCRIPTS.map((script) => join(scriptsDir, script));
		await expectFile(scripts[0]);
		await pull();
		const diffIds = diffIdsOf(image);
		const files = [...scripts, '/etc/os-release'];
		await worker.call('adopt', { diffIds, files, ...(await foreignPaths(context)) });
	} catch (error) {
		if (!isBuildError(error, 'HOST_NOT_BUILDER')) throw error;
		const digest = image.manifest.descriptor.digest;
		throw explained(error, name.includes('@') ? name : `${name}@${digest}`, context);
	}
}

/** Where assemble finds the certificate authorities of the host; undefined when there are none. */
export function caBundleIn({ caBundle }: HostRequest, worker: Pick<WorkerProcess, 'rootfs'>): string | undefined {
	return caBundle === undefined || isInPlace(worker.rootfs) ? caBundle : CA_BUNDLE_PATH;
}

const SCRIPTS = ['assemble', 'run', 'save-artifacts', 'usage'] as const;

/** Without it, nothing needs to be pulled to know that this is another container. */
async function expectFile(path: string | undefined): Promise<void> {
	if (path === undefined || (await lstat(path).catch(() => undefined)) !== undefined) return;
	throw new BuildError('HOST_NOT_BUILDER', `this container does not run the builder image: it has no ${path}`);
}

/** What is in this container but not of the image, in the words of the worker's `adopt`. */
async function foreignPaths({ host, source }: LiveContext): Promise<Omit<AdoptRequest, 'diffIds' | 'files'>> {
	const { store, storeParents = [], env } = host;
	const folders = FOLDER_VARIABLES.flatMap((name) => env[name] ?? []).filter((path) => path.startsWith('/'));
	const own = source === undefined ? [] : await directoryOf(source);
	const real = (paths: readonly string[]) => Promise.all(paths.map((path) => realpath(path).catch(() => path)));
	const tools = [PROGRAM, dirname(dirname(process.execPath)), ...FOLDERS];
	return {
		skip: await real([...folders, ...own]),
		tools: await real(tools),
		store: await realpath(store),
		storeParents: await real(storeParents),
	};
}

async function directoryOf(source: string): Promise<readonly string[]> {
	const stats = await stat(source).catch(() => undefined);
	return stats?.isDirectory() === true ? [source] : [];
}

function explained({ message }: BuildError, builder: string, { host, worker }: LiveContext): BuildError {
	const advice = `Use image: ${builder} for this job`;
	if (!isInPlace(host.rootfs)) {
		const both = `${worker.reason}; nor can it be made in place, since ${message}`;
		return noNamespaces(both, `${advice}. Or: ${worker.remedy ?? ALLOW_NAMESPACES}`);
	}
	return new BuildError('HOST_NOT_BUILDER', message, { hint: `${advice}.` });
}

function impossible(what: string, needed: string): BuildError {
	return new BuildError('HOST_IN_PLACE', `${what} cannot be used in place, since it takes ${needed}`, {
		hint: 'Leave it out, or build on a host that gives namespaces; s2oci doctor says what is missing here.',
	});
}
