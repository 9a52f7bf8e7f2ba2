import { join, posix } from 'node:path';
import { BuildError } from '../errors.js';
import { diffIdsOf } from '../oci/image.js';
import { ROOT } from '../root-path.js';
import type { Contract } from '../s2i/contract.js';
import type { EnvironmentVariable } from '../s2i/environment.js';
import type { ScriptName } from '../s2i/scripts.js';
import type { User } from '../s2i/users.js';
import { chooseArtifacts, type PathPair } from '../s2i/volumes.js';
import { executeScript } from './assemble/execute-script.js';
import type { BuildContext } from './context.js';
import { hostFilesOf } from './prepare/host-files.js';
import { type InstalledScript, installScripts } from './prepare/install-scripts.js';
import { findUser, mountRoot, type Root } from './root.js';

/** A mounted runtime image of which all is known that can go wrong before assemble runs. */
export interface PreparedRuntime {
	readonly root: Root;
	readonly contract: Contract;
	/** Who runs assemble-runtime and owns what is copied. */
	readonly user: User;
	readonly assembleRuntime: InstalledScript;
	readonly run: InstalledScript;
	/** Host directory of those scripts that are not the image's own; undefined when there are none. */
	readonly scripts: string | undefined;
	readonly artifacts: readonly PathPair[];
}

/**
 * Mounts the unpacked runtime image as `runtime` and finds its scripts, user and artifacts; scripts are taken away from `source`, the
 * host directory of the source. To be called before assemble runs. Throws SCRIPT_MISSING with every place that was looked at, USAGE,
 * IMAGE_INVALID and IMAGE_USER_NOT_ALLOWED.
 */
export async function prepareRuntime(context: BuildContext, source: string): Promise<PreparedRuntime> {
	const { request, session, record, signal } = context;
	const { image, contract } = runtimeOf(context);
	const artifacts = chooseArtifacts(request.runtime?.artifacts ?? [], contract.assembleInputFiles);
	const root = await mountRoot('runtime', diffIdsOf(image), context);
	const { scriptsUrl } = request.scripts;
	const user = await findUser(root, contract.assembleRuntimeUser, request.scripts);
	const directory = join(session.scratch, 'runtime-scripts');
	const { scripts, placed } = await installScripts(
		{ required: ['assemble-runtime', 'run'], optional: [] },
		{ contract, scriptsUrl, source, directory, inspect: root.stat, http: session.http, emit: record.emit },
		signal,
	);
	return {
		...{ root, contract, user, artifacts },
		assembleRuntime: scriptNamed(scripts, 'assemble-runtime'),
		run: scriptNamed(scripts, 'run'),
		scripts: placed ? directory : undefined,
	};
}

/**
 * Copies the artifacts out of `builder`, where assemble has run, into WORKDIR of `runtime` and runs assemble-runtime there: what
 * the result image is then made of. Modes are those of the builder, owners the assemble-runtime user. Throws ASSEMBLE_FAILED, also for
 * an artifact that assemble did not make.
 */
export async function assembleRuntime(
	context: BuildContext,
	runtime: PreparedRuntime,
	build: {
		/** Of the builder. */
		readonly root: Root;
		readonly environment: readonly EnvironmentVariable[];
		readonly epoch: number;
	},
): Promise<void> {
	const { root, contract, user, assembleRuntime: script } = runtime;
	const { workingDir: cwd } = contract;
	await copyArtifacts(context, build.root, runtime);
	await root.prepare({ placements: [], binds: await hostFilesOf(context), workingDir: cwd });
	const { environment, epoch } = build;
	const what = `${script.name} (${script.path})`;
	await executeScript(context, root, { argv: [script.path], cwd, user, what, image: contract.env, environment, epoch });
}

async function copyArtifacts(context: BuildContext, builder: Root, runtime: PreparedRuntime): Promise<void> {
	const { record, images } = context;
	const { root, contract, user, scripts } = runtime;
	const owner = { uid: user.uid, gid: user.gid };
	const { missing, skipped } = await root.copyFrom(builder, {
		artifacts: runtime.artifacts.map(({ source, destination }) => ({
			source,
			destination: posix.resolve(contract.workingDir, destination),
		})),
		owner,
	});
	if (missing.length > 0) throw artifactsMissing(missing, images.builder.opened.name);
	for (const path of skipped) {
		const message = `/${path} is not copied to the runtime image: it is neither a file, a directory nor a link`;
		record.emit({ type: 'warning', code: 'SKIPPED', message });
	}
	if (scripts === undefined) return;
	const destination = posix.join(contract.destination, 'scripts');
	const placing = { destination, intoDirectory: true, extract: false, mode: undefined, chown: true };
	await root.copyFiles({ ...placing, from: scripts, sources: [ROOT], owner });
}

function artifactsMissing(missing: readonly string[], builder: string): BuildError {
	const names = missing.map((path) => JSON.stringify(path)).join(', ');
	return new BuildError('ASSEMBLE_FAILED', `after assemble, the builder image ${builder} has no ${names}`, {
		hint: 'Correct --runtime-artifact, or the label io.openshift.s2i.assemble-input-files of the runtime image.',
	});
}

function runtimeOf({ images }: BuildContext): NonNullable<BuildContext['images']['runtime']> {
	if (images.runtime === undefined) throw new Error('the build has no runtime image');
	return images.runtime;
}

function scriptNamed(scripts: ReadonlyMap<ScriptName, InstalledScript>, name: ScriptName): InstalledScript {
	const script = scripts.get(name);
	if (script === undefined) throw new Error(`the script ${name} was not asked for`);
	return script;
}
