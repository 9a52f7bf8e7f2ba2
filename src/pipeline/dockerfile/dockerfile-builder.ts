import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EngineLocation, formatImageLocation } from '../../content/location.js';
import { isBuildError } from '../../errors.js';
import type { Http } from '../../http/http.js';
import type { ContainerConfig } from '../../oci/image.js';
import type { Inspected } from '../../protocol/worker-calls.js';
import type { Registries } from '../../registry/registries.js';
import { checkUsers } from '../../s2i/check-user.js';
import { type Contract, readContract } from '../../s2i/contract.js';
import { CONTEXT } from '../../s2i/dockerfile.js';
import type { ScriptName } from '../../s2i/scripts.js';
import type { Emit } from '../events.js';
import { openImageSource } from '../images/open-image.js';
import { resolveImage } from '../images/resolve-image.js';
import { type InstalledScript, installScripts } from '../prepare/install-scripts.js';
import type { BuildRequest } from '../request.js';

type BuilderRequest = Pick<BuildRequest, 'host' | 'builder' | 'pullPolicy' | 'scripts'> & {
	readonly imageScriptsUrl: string | undefined;
};

interface Asking {
	readonly registries: Registries;
	readonly emit: Emit;
}

/** What S2I supposes of a builder image that cannot be asked. */
const UNKNOWN_IMAGE: ContainerConfig = { User: '1001', WorkingDir: '/opt/app-root/src' };
const DEFAULT_SCRIPTS_URL = 'image:///usr/libexec/s2i';

/**
 * What the builder of a Dockerfile says: from its manifest and config only, with the overrides of `request`. When its registry cannot be
 * reached, or must not be asked, S2I's defaults are supposed, which a warning tells. Throws what registries answer,
 * IMAGE_USER_NOT_ALLOWED, and what {@link readContract} throws.
 */
export async function findContract(request: BuilderRequest, asking: Asking, signal: AbortSignal): Promise<Contract> {
	const { emit } = asking;
	const config = await readConfig(request, asking, signal);
	const { scripts, imageScriptsUrl } = request;
	const { destination, assembleUser, allowedUids } = scripts;
	const contract = readContract(config, { destination, assembleUser });
	for (const message of contract.deprecations) emit({ type: 'warning', code: 'DEPRECATED', message });
	if (allowedUids !== undefined) checkUsers(contract, 'builder', allowedUids);
	const fallback = imageScriptsUrl?.startsWith('image://') === true ? imageScriptsUrl : DEFAULT_SCRIPTS_URL;
	return { ...contract, scriptsUrl: contract.scriptsUrl ?? fallback };
}

async function readConfig(
	{ builder, pullPolicy, host }: BuilderRequest,
	{ registries, emit }: Asking,
	signal: AbortSignal,
): Promise<ContainerConfig> {
	const suppose = (why: string): ContainerConfig => {
		const message = `${formatImageLocation(builder)} ${why}: its scripts are supposed to be in /usr/libexec/s2i, its user to be 1001`;
		emit({ type: 'warning', code: 'BUILDER_UNKNOWN', message });
		return UNKNOWN_IMAGE;
	};
	if (pullPolicy === 'never' && builder.type === 'registry') return suppose('is not looked up (--pull-policy never)');
	const directories: string[] = [];
	const scratch = async () => {
		const made = await mkdtemp(join(tmpdir(), 's2oci-'));
		directories.push(made);
		return made;
	};
	const engine = async (type: EngineLocation['type']) =>
		(await import('../../engine/engine.js')).openEngine(type, host.env);
	const present = (diffIds: readonly string[]) => Promise.resolve(new Set(diffIds));
	try {
		const opened = await openImageSource(builder, { registry: registries.open, engine, present, scratch }, signal);
		return (await resolveImage(opened, host.platform, signal)).config.value.config ?? {};
	} catch (error) {
		if (isBuildError(error, 'REGISTRY_UNREACHABLE')) return suppose(`cannot be looked up (${error.message})`);
		throw error;
	} finally {
		for (const directory of directories) await rm(directory, { recursive: true, force: true });
	}
}

/** The scripts of a Dockerfile: paths in the container. */
export interface DockerfileScripts {
	readonly assemble: string;
	readonly run: string;
	readonly saveArtifacts: InstalledScript | undefined;
	/** Whether some are in the context. */
	readonly placed: boolean;
}

interface ScriptSearch {
	readonly request: Pick<BuildRequest, 'scripts'> & { readonly imageScriptsUrl: string | undefined };
	/** Whether save-artifacts is wanted, too. */
	readonly savesArtifacts: boolean;
	readonly contract: Contract;
	readonly context: string;
	/** Host directory of the source, from which its scripts are taken. */
	readonly source: string | undefined;
	readonly http: Pick<Http, 'get'>;
	readonly emit: Emit;
}

/**
 * Finds the scripts as a build does, but takes the image's word for its own: its files are not here. An `--image-scripts-url` that is
 * not in the image gives the scripts that neither `--scripts-url` nor the source has. Throws as {@link installScripts} does.
 */
export async function installDockerfileScripts(search: ScriptSearch, signal: AbortSignal): Promise<DockerfileScripts> {
	const { request, contract, context, source, http, emit } = search;
	const { imageScriptsUrl } = request;
	const { scriptsUrl } = request.scripts;
	const optional: readonly ScriptName[] = search.savesArtifacts ? ['save-artifacts'] : [];
	const input = {
		contract,
		scriptsUrl,
		source,
		directory: join(context, CONTEXT.scripts),
		inspect: believe,
		http,
		emit,
	};
	const found = await installScripts({ required: ['assemble', 'run'], optional }, input, signal);
	const open = [...found.scripts.values()].filter(({ external }) => !external).map(({ name }) => name);
	const isElsewhere = imageScriptsUrl !== undefined && !imageScriptsUrl.startsWith('image://');
	const more =
		isElsewhere && open.length > 0 && scriptsUrl?.startsWith('image://') !== true
			? await installScripts(
					{ required: [], optional: open },
					{ ...input, scriptsUrl: imageScriptsUrl, source: undefined },
					signal,
				)
			: undefined;
	const scripts = new Map([...found.scripts, ...(more?.scripts ?? [])]);
	return {
		assemble: pathOf(scripts, 'assemble'),
		run: pathOf(scripts, 'run'),
		saveArtifacts: scripts.get('save-artifacts'),
		placed: found.placed || more?.placed === true,
	};
}

function believe(paths: readonly string[]): Promise<readonly Inspected[]> {
	return Promise.resolve(paths.map((path) => ({ path, type: 'file', mode: 0o755 })));
}

function pathOf(scripts: ReadonlyMap<ScriptName, InstalledScript>, name: ScriptName): string {
	const script = scripts.get(name);
	if (script === undefined) throw new Error(`installScripts found no ${name}`);
	return script.path;
}
