import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type ContainerConfig, diffIdsOf } from '../../oci/image.js';
import type { HostBind } from '../../protocol/host-bind.js';
import type { Contract } from '../../s2i/contract.js';
import type { EnvironmentVariable } from '../../s2i/environment.js';
import { METADATA_PATH } from '../../s2i/metadata.js';
import type { ScriptName } from '../../s2i/scripts.js';
import type { User } from '../../s2i/users.js';
import type { SourceInfo } from '../../source/source.js';
import type { BuildContext } from '../context.js';
import { restoreFromCache } from '../incremental/artifact-cache.js';
import { type RestoredArtifacts, restoreArtifacts } from '../incremental/incremental.js';
import { guessCommand, runOnBuild } from '../onbuild/run-onbuild.js';
import { findUser, mountRoot, type Root } from '../root.js';
import { type PreparedRuntime, prepareRuntime } from '../runtime-image.js';
import { readEnvironment } from './build-environment.js';
import { hostFilesOf } from './host-files.js';
import { type InstalledScript, installScripts } from './install-scripts.js';
import { planMounts } from './requested-mounts.js';
import { copySourceImages } from './source-images.js';

/** The fetched source of a build. */
export interface FetchedSource {
	readonly info: SourceInfo;
	/** Host directory; preparing moves it away. */
	readonly directory: string;
}

/** The builder image, mounted, with all that its scripts expect in place. */
export interface Prepared {
	/** Of the builder image. */
	readonly root: Root;
	readonly contract: Contract;
	readonly scripts: ReadonlyMap<ScriptName, InstalledScript>;
	/** Runs assemble, and owns what is new. */
	readonly user: User;
	/** What the image's ENV gets. */
	readonly environment: readonly EnvironmentVariable[];
	/** Whether there are artifacts of an earlier build. */
	readonly artifacts: RestoredArtifacts | undefined;
	readonly runtime: PreparedRuntime | undefined;
	/** The builder's config as ONBUILD left it; undefined when it has no ONBUILD. */
	readonly config: ContainerConfig | undefined;
	/** ONBUILD put the source into the image. */
	readonly keepsSource: boolean;
	/** What of the host scripts see. */
	readonly binds: readonly HostBind[];
}

/**
 * Mounts the builder image and puts source, scripts, artifacts and what is mounted into it; ONBUILD instructions are executed first.
 * All that can be found wrong before a script runs is found here. Throws SCRIPT_MISSING, SCRIPT_INVALID, IMAGE_INVALID and others.
 */
export async function prepare(context: BuildContext, { info, directory }: FetchedSource): Promise<Prepared> {
	const { images } = context;
	const { image } = images.builder;
	await copySourceImages(context, directory);
	const root = await mountRoot('builder', diffIdsOf(image), context);
	const environment = await readEnvironment(directory, context.request.variables, context.record.emit);
	const executing = () => runOnBuild(context, root, { directory, epoch: info.epoch });
	const onBuilt = hasOnBuild(context) ? await context.record.stage('onbuild', executing) : undefined;
	const contract = onBuilt?.contract ?? images.builder.contract;
	const { scripts, placed } = await installBuilderScripts({ contract, source: directory, root }, context);
	const runtime = images.runtime === undefined ? undefined : await prepareRuntime(context, directory);
	for (const path of info.ignoredScripts) await rm(join(directory, path), { recursive: true, force: true });
	const needsCommand = onBuilt !== undefined && runtime === undefined && !scripts.has('run');
	const config = needsCommand ? await guessCommand(directory, onBuilt.config) : onBuilt?.config;
	const user = await findUser(root, contract.assembleUser, context.request.scripts);
	const mounts = await planMounts(context.request.assemble, context.request.host.env, contract, root.stat);
	const binds = [...(await hostFilesOf(context)), ...mounts];
	const artifacts = await findArtifacts({ info, user, scripts, binds }, context);
	const keepsSource = onBuilt?.tookSource === true;
	const placing = { contract, user, artifacts, source: keepsSource ? undefined : directory, placed, binds };
	await place(placing, root, context);
	return { root, contract, scripts, user, environment, artifacts, runtime, config, keepsSource, binds };
}

function hasOnBuild({ images }: BuildContext): boolean {
	return images.builder.contract.onBuild.length > 0;
}

/** With a runtime image the builder's run script is not needed, and with ONBUILD none is. */
function installBuilderScripts(
	{ contract, source, root }: { readonly contract: Contract; readonly source: string; readonly root: Root },
	context: BuildContext,
): ReturnType<typeof installScripts> {
	const { request, session, record, images, signal } = context;
	const all: readonly ScriptName[] = images.runtime === undefined ? ['assemble', 'run'] : ['assemble'];
	const wanted = hasOnBuild(context)
		? { required: [], optional: [...all, 'save-artifacts' as const] }
		: { required: all, optional: ['save-artifacts' as const] };
	const { stat: inspect } = root;
	const { scriptsUrl } = request.scripts;
	const directory = scriptsOf(context);
	const { http } = session;
	return installScripts(wanted, { contract, scriptsUrl, source, directory, inspect, http, emit: record.emit }, signal);
}

/** Host directory of the scripts that are not the builder image's own. */
function scriptsOf({ session }: BuildContext): string {
	return join(session.scratch, 'scripts');
}

async function findArtifacts(
	input: Pick<Prepared, 'user' | 'scripts' | 'binds'> & { readonly info: SourceInfo },
	context: BuildContext,
): Promise<RestoredArtifacts | undefined> {
	const { enabled, cacheFrom } = context.request.incremental;
	if (!enabled && cacheFrom.length === 0) return undefined;
	const { info, user, scripts, binds } = input;
	const own = scripts.get('save-artifacts');
	const hostPath = own?.external === true ? join(scriptsOf(context), own.name) : undefined;
	const script = own && { path: own.path, hostPath };
	return context.record.stage('artifacts', async () => {
		const restored = enabled ? await restoreArtifacts(context, { user, script, binds }) : undefined;
		return restored ?? (cacheFrom.length === 0 ? undefined : restoreFromCache(context, { source: info, user }));
	});
}

async function place(
	what: Pick<Prepared, 'contract' | 'user' | 'artifacts' | 'binds'> & {
		readonly source: string | undefined;
		readonly placed: boolean;
	},
	root: Root,
	context: BuildContext,
): Promise<void> {
	const { contract, user, artifacts, binds, source, placed } = what;
	const owner = { uid: user.uid, gid: user.gid };
	const at = (from: string | undefined, name: string, keep: boolean) =>
		from === undefined ? [] : [{ source: from, destination: join(contract.destination, name), owner, keep }];
	const external = placed ? scriptsOf(context) : undefined;
	const placements = [
		...at(source, 'src', false),
		...at(external, 'scripts', true),
		...at(artifacts?.directory, 'artifacts', false).map((placement) => ({ ...placement, owned: true })),
	];
	const { workingDir } = contract;
	const runsAs = { ...owner, additionalGids: user.additionalGids };
	await root.prepare({ placements, binds, user: runsAs, workingDir, outputs: [METADATA_PATH] });
}
