import { join } from 'node:path';
import type { Http } from '../../http/http.js';
import type { Inspected } from '../../protocol/worker-calls.js';
import type { Contract } from '../../s2i/contract.js';
import { CONTEXT } from '../../s2i/dockerfile.js';
import type { ScriptName } from '../../s2i/scripts.js';
import type { Emit } from '../events.js';
import { type InstalledScript, installScripts } from '../prepare/install-scripts.js';
import type { BuildRequest } from '../request.js';

/** The scripts of a Dockerfile: paths in the container. */
export interface DockerfileScripts {
	readonly assemble: string;
	readonly run: string;
	readonly saveArtifacts: InstalledScript | undefined;
	/** Whether some are in the context. */
	readonly placed: boolean;
}

export interface ScriptSearch {
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
