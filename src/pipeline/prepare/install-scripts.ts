import { chmod, rm, utimes, writeFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { BuildError, isBuildError } from '../../errors.js';
import type { Http } from '../../http/http.js';
import { makePath } from '../../make-path.js';
import type { Inspected } from '../../protocol/worker-calls.js';
import { redactWord } from '../../redact.js';
import type { Contract } from '../../s2i/contract.js';
import {
	parseScriptsUrl,
	SCRIPT_NAMES,
	type ScriptName,
	type ScriptOrigins,
	type ScriptPlace,
	scriptNowhere,
	scriptPlaces,
} from '../../s2i/scripts.js';
import type { Emit } from '../events.js';
import { type ExternalScript, readHostScript, readSourceScript, readWebScript } from './read-script.js';

/** A script that can be run. */
export interface InstalledScript {
	readonly name: ScriptName;
	/** Absolute path in the container. */
	readonly path: string;
	/** Whether it is not the image's own but lies in the directory of external scripts. */
	readonly external: boolean;
	/** Where it was found, for messages; without secrets. */
	readonly from: string;
}

export interface ScriptInput {
	readonly contract: Contract;
	/** `--scripts-url`. */
	readonly scriptsUrl: string | undefined;
	/** Host directory of the fetched source, from which its scripts are taken away; undefined when there is none. */
	readonly source: string | undefined;
	/** Host directory for external scripts, which become `<destination>/scripts`; made when the first is placed. */
	readonly directory: string;
	/** Looks at paths of the image that `contract` is of. */
	readonly inspect: (stat: readonly string[]) => Promise<readonly Inspected[]>;
	readonly http: Pick<Http, 'get'>;
	readonly emit: Emit;
}

interface Found {
	readonly place: ScriptPlace;
	/** Undefined for a script of the image. */
	readonly external: ExternalScript | undefined;
}

type Find = (place: ScriptPlace, name: ScriptName) => Promise<Found | undefined>;

/**
 * Finds the `wanted` scripts, each in the first place that has it, and puts those that are not the image's into `directory` with mode
 * 0755; nothing is placed or taken from the source before all are found. `placed` says whether `directory` holds something. Throws
 * SCRIPT_MISSING for a required script that is nowhere or not executable and for a `--scripts-url` without any script, SCRIPT_INVALID
 * for a file that cannot be a script, USAGE and IMAGE_INVALID for impossible URLs, HTTP_FAILED for downloads that fail.
 */
export async function installScripts(
	wanted: { readonly required: readonly ScriptName[]; readonly optional: readonly ScriptName[] },
	input: ScriptInput,
	signal: AbortSignal,
): Promise<{ readonly scripts: ReadonlyMap<ScriptName, InstalledScript>; readonly placed: boolean }> {
	const { contract, source, directory, emit } = input;
	const given = input.scriptsUrl === undefined ? undefined : parseScriptsUrl(input.scriptsUrl);
	const origins: ScriptOrigins = { given, source: source !== undefined, image: contract.scriptsUrl };
	const find = await finder(wanted.required, origins, input, signal);
	const found = await findAll(wanted, origins, find);
	if (given !== undefined && ![...found.values()].some(({ place }) => place.given)) {
		await checkGivenUrl(origins, find, redactWord(input.scriptsUrl ?? ''));
	}
	let placed = false;
	for (const [name, { place, external }] of found) {
		emit({ type: 'log', level: 2, message: `the script ${name} is ${place.text}` });
		if (external === undefined) continue;
		await placeScript(name, external, place, directory, emit);
		placed = true;
	}
	if ([...found.values()].some(({ place }) => place.kind === 'source' && place.deprecated)) {
		const message = 'scripts in .sti/bin are deprecated; move them to .s2i/bin';
		emit({ type: 'warning', code: 'DEPRECATED', message });
	}
	const scripts = [...found].map(([name, each]) => [name, installed(name, each, contract)] as const);
	return { scripts: new Map(scripts), placed };
}

async function findAll(
	wanted: { readonly required: readonly ScriptName[]; readonly optional: readonly ScriptName[] },
	origins: ScriptOrigins,
	find: Find,
): Promise<ReadonlyMap<ScriptName, Found>> {
	const found = new Map<ScriptName, Found>();
	for (const name of new Set([...wanted.required, ...wanted.optional])) {
		const places = scriptPlaces(name, origins);
		const script = await firstFound(name, places, find);
		if (script !== undefined) found.set(name, script);
		else if (wanted.required.includes(name)) throw scriptNowhere(name, places);
	}
	return found;
}

async function firstFound(name: ScriptName, places: readonly ScriptPlace[], find: Find): Promise<Found | undefined> {
	for (const place of places) {
		const found = await find(place, name);
		if (found !== undefined) return found;
	}
	return undefined;
}

/** How to look at one place; the image is looked at once, for all scripts. */
async function finder(
	required: readonly ScriptName[],
	origins: ScriptOrigins,
	input: ScriptInput,
	signal: AbortSignal,
): Promise<Find> {
	const { source, http, inspect, emit } = input;
	const places = SCRIPT_NAMES.flatMap((name) => scriptPlaces(name, origins));
	const paths = new Set(places.flatMap((place) => (place.kind === 'image' ? [place.path] : [])));
	const inspected = paths.size === 0 ? [] : await inspect([...paths]);
	const downloaded = async (name: ScriptName, place: ScriptPlace & { readonly kind: 'http' }) => {
		try {
			return await readWebScript(name, place, http, signal);
		} catch (error) {
			if (required.includes(name) || !isBuildError(error, 'HTTP_FAILED')) throw error;
			emit({ type: 'warning', code: 'SCRIPT', message: `${error.message}, so it is not used` });
			return undefined;
		}
	};
	return async (place, name) => {
		switch (place.kind) {
			case 'refused':
				if (required.includes(name)) throw place.error;
				return undefined;
			case 'image': {
				const file = inspected.find(({ path }) => path === place.path);
				return isRunnable(file, name, required, emit) ? { place, external: undefined } : undefined;
			}
			case 'source':
				return foundIn(place, source === undefined ? undefined : await readSourceScript(source, place.path));
			case 'file':
				return foundIn(place, await readHostScript(place.path));
			case 'http':
				return foundIn(place, await downloaded(name, place));
		}
	};
}

function foundIn(place: ScriptPlace, external: ExternalScript | undefined): Found | undefined {
	return external === undefined ? undefined : { place, external };
}

function isRunnable(
	file: Inspected | undefined,
	name: ScriptName,
	required: readonly ScriptName[],
	emit: Emit,
): boolean {
	if (file?.type !== 'file') return false;
	if ((file.mode & 0o111) !== 0) return true;
	const message = `${file.path} in the image is not executable`;
	if (required.includes(name)) {
		throw new BuildError('SCRIPT_MISSING', message, {
			hint: `Ask for chmod +x ${file.path} in the image, or add .s2i/bin/${name} to the source.`,
		});
	}
	emit({ type: 'warning', code: 'SCRIPT', message: `${message}, so it is not used` });
	return false;
}

/** A URL that has only scripts that nobody wants now is right, and one that has none is a mistake. */
async function checkGivenUrl(origins: ScriptOrigins, find: Find, url: string): Promise<void> {
	const given = SCRIPT_NAMES.map((name) => ({ name, place: scriptPlaces(name, origins)[0] }));
	for (const { name, place } of given) {
		if (place !== undefined && (await find(place, name)) !== undefined) return;
	}
	const names = given.map(({ place }) => place?.text).join(', ');
	throw new BuildError('SCRIPT_MISSING', `the scripts URL ${url} has no script: looked at ${names}`, {
		hint: '--scripts-url names the directory that holds assemble, run and the other scripts; check its spelling.',
	});
}

async function placeScript(
	name: ScriptName,
	{ bytes, kind, modified, remove }: ExternalScript,
	place: ScriptPlace,
	directory: string,
	emit: Emit,
): Promise<void> {
	const path = join(directory, name);
	makePath(directory, 0o755);
	// In the context of a Dockerfile, a checkout may have put a link here.
	await rm(path, { force: true });
	const content = kind === 'text' ? Buffer.concat([Buffer.from('#!/bin/sh\n'), bytes]) : bytes;
	await writeFile(path, content, { flag: 'wx' });
	await chmod(path, 0o755);
	if (modified !== undefined) await utimes(path, modified, modified);
	if (remove !== undefined) await rm(remove);
	if (kind !== 'text') return;
	const what = bytes.length === 0 ? 'is empty, and does nothing' : 'has no #! line; /bin/sh runs it';
	emit({ type: 'warning', code: 'SCRIPT', message: `${place.text} ${what}` });
}

function installed(name: ScriptName, { place, external }: Found, { destination }: Contract): InstalledScript {
	const path = place.kind === 'image' ? place.path : posix.join(destination, 'scripts', name);
	return { name, path, external: external !== undefined, from: place.text };
}
