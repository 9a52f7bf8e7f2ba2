import { posix } from 'node:path';
import { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import type { Contract } from './contract.js';

/** The scripts of the S2I contract that a build or an incremental build runs. */
export type ScriptName = 'assemble' | 'run' | 'save-artifacts';

/** Where a script comes from, and the path at which the container finds it. */
export type Script =
	| {
			readonly name: ScriptName;
			readonly from: 'source';
			/** Relative to the source, to be placed at `path` with mode 0755. */
			readonly sourcePath: string;
			readonly path: string;
	  }
	| { readonly name: ScriptName; readonly from: 'image'; readonly path: string };

/** The outcome of script discovery; scripts `from` the image are not verified to exist. */
export interface Scripts {
	readonly assemble: Script;
	readonly run: Script;
	/** Undefined when neither the source nor a scripts URL can have it. */
	readonly saveArtifacts: Script | undefined;
	readonly deprecations: readonly string[];
}

const DIRECTORIES = ['.s2i/bin', '.sti/bin'] as const;

/** Every path below the source at which a script may be, in order of precedence. */
export function scriptPaths(): readonly string[] {
	return (['assemble', 'run', 'save-artifacts'] as const).flatMap((name) => candidates(name));
}

/**
 * Which script wins, one by one: `.s2i/bin` of the source, then `.sti/bin`, then the builder image's scripts URL. `present` is the
 * part of {@link scriptPaths} that exists. Throws SCRIPT_MISSING when assemble or run is nowhere.
 */
export function resolveScripts(present: readonly string[], contract: Contract): Scripts {
	const find = (name: ScriptName) => findScript(name, present, contract);
	const assemble = find('assemble');
	if (assemble === undefined) throw scriptMissing('assemble', contract);
	const run = find('run');
	if (run === undefined) throw scriptMissing('run', contract);
	const saveArtifacts = find('save-artifacts');
	const old = [assemble, run, saveArtifacts].some(
		(script) => script?.from === 'source' && script.sourcePath.startsWith('.sti/'),
	);
	return {
		assemble,
		run,
		saveArtifacts,
		deprecations: old ? ['scripts in .sti/bin are deprecated; move them to .s2i/bin'] : [],
	};
}

function scriptPlaces(name: ScriptName, contract: Contract): readonly string[] {
	const inImage =
		contract.scriptsDir === undefined ? [] : [`${posix.join(contract.scriptsDir, name)} in the builder image`];
	return [...candidates(name).map((path) => `${path} in the source`), ...inImage];
}

/** SCRIPT_MISSING for `name`, saying where it was looked for; also for an image script that turned out not to be there. */
export function scriptMissing(name: ScriptName, contract: Contract): BuildError {
	const places = `looked at ${scriptPlaces(name, contract).join(', ')}`;
	const { scriptsUrl, scriptsDir } = contract;
	if (scriptsUrl !== undefined && scriptsDir === undefined) {
		const url = JSON.stringify(redact(scriptsUrl).slice(0, 200));
		return new BuildError(
			'SCRIPT_MISSING',
			`the ${name} script is at ${url}, which is not an image:// URL; ${places}`,
			{
				hint: `Scripts are taken from the builder image or the source only: copy ${name} to .s2i/bin/${name} of the source.`,
			},
		);
	}
	return new BuildError('SCRIPT_MISSING', `there is no ${name} script: ${places}`, {
		hint:
			scriptsUrl === undefined
				? `The image has no label io.openshift.s2i.scripts-url: is it an S2I builder image? Else add .s2i/bin/${name} to the source.`
				: `Add .s2i/bin/${name} to the source, or use a builder image that has the script.`,
	});
}

function findScript(name: ScriptName, present: readonly string[], contract: Contract): Script | undefined {
	const sourcePath = candidates(name).find((path) => present.includes(path));
	if (sourcePath !== undefined) {
		return { name, from: 'source', sourcePath, path: posix.join(contract.destination, 'scripts', name) };
	}
	if (contract.scriptsDir === undefined) return undefined;
	return { name, from: 'image', path: posix.join(contract.scriptsDir, name) };
}

function candidates(name: ScriptName): readonly string[] {
	return DIRECTORIES.map((directory) => `${directory}/${name}`);
}
