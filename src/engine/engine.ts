import type { Readable } from 'node:stream';
import * as v from 'valibot';
import type { EngineLocation } from '../content/location.js';
import { BuildError, messageOf } from '../errors.js';
import { ask, type Environment, findTool, noImage, readFrom, saysNoImage, toolFailed, writeTo } from './tool.js';

/** An image as its engine describes it. */
export interface StoredImage {
	/** What never names another image: 64 hexadecimal digits. */
	readonly id: string;
	/** Of the layers, lowest first. */
	readonly diffIds: readonly string[];
	/** Whether the engine keeps it as an OCI image; else it has Docker's media types. */
	readonly isOci: boolean;
}

/** A local engine, spoken to by its own command line tool, as its user and with its user's settings. */
export interface Engine {
	readonly type: EngineLocation['type'];
	/** What people call it. */
	readonly name: 'podman' | 'docker';
	/** The image that `name` means there; undefined when there is none. Throws ENGINE_UNAVAILABLE, ENGINE_FAILED. */
	readonly find: (name: string, signal: AbortSignal) => Promise<StoredImage | undefined>;
	/** As `find`. Throws ENGINE_NO_IMAGE. */
	readonly inspect: (name: string, signal: AbortSignal) => Promise<StoredImage>;
	/** The image `id` as the archive of `docker save`. */
	readonly save: (id: string, signal: AbortSignal) => Promise<Readable>;
	/** Loads an archive: of Docker, for podman also of OCI. Nothing is loaded when `archive` fails. */
	readonly load: (archive: Readable, signal: AbortSignal) => Promise<void>;
	/** Removes the image `id`, unless something still has it. */
	readonly remove: (id: string, signal: AbortSignal) => Promise<void>;
}

const inspected = v.pipe(
	v.array(
		v.looseObject({
			Id: v.pipe(v.string(), v.regex(/^(?:sha256:)?[0-9a-f]{64}$/)),
			RootFS: v.nullish(v.looseObject({ Layers: v.nullish(v.array(v.string())) })),
			ManifestType: v.nullish(v.string()),
		}),
	),
	v.minLength(1),
);

/** The engine of `type`. Throws ENGINE_UNAVAILABLE when its tool is not installed; whether the engine answers is not asked yet. */
export function openEngine(type: EngineLocation['type'], env: Environment): Engine {
	const tool = findTool(type === 'podman' ? 'podman' : 'docker', env);
	const find = async (name: string, signal: AbortSignal): Promise<StoredImage | undefined> => {
		const args = ['image', 'inspect', '--', name];
		const { ok, stdout, stderr } = await ask(tool, args, signal);
		if (ok) return readInspected(stdout) ?? fail(toolFailed(tool.name, args, 'its answer is not understood'));
		if (saysNoImage(stderr)) return undefined;
		throw toolFailed(tool.name, args, stderr);
	};
	return {
		type,
		name: tool.name,
		find,
		inspect: async (name, signal) => (await find(name, signal)) ?? fail(noImage(tool.name, name)),
		save: (id, signal) =>
			readFrom(tool, ['save', ...(type === 'podman' ? ['--format', 'docker-archive'] : []), '--', id], signal),
		load: (archive, signal) => writeTo(tool, ['load'], archive, signal),
		remove: async (id, signal) => {
			const args = ['image', 'rm', '--', id];
			const { ok, stderr } = await ask(tool, args, signal);
			if (!ok && !saysNoImage(stderr)) throw toolFailed(tool.name, args, stderr);
		},
	};
}

function readInspected(text: string): StoredImage | undefined {
	try {
		const [image] = v.parse(inspected, JSON.parse(text));
		if (image === undefined) return undefined;
		const { Id, RootFS, ManifestType } = image;
		const isOci = ManifestType?.startsWith('application/vnd.oci.') ?? false;
		return { id: Id.replace(/^sha256:/, ''), diffIds: RootFS?.Layers ?? [], isOci };
	} catch {
		return undefined;
	}
}

function fail(error: Error): never {
	throw error;
}

/** The local engines that can be used, the preferred one first; and why others cannot. */
interface FoundEngines {
	readonly engines: readonly Engine[];
	readonly problems: readonly string[];
}

const ANSWER_MS = 10_000;

/**
 * Docker when its daemon answers, then podman when it is installed; or the one that `S2OCI_ENGINE` names, unasked. Throws USAGE for
 * another value than `docker`, `podman` and `none`, and ENGINE_UNAVAILABLE when the one that it names is not installed.
 */
export async function findEngines(env: Environment, signal: AbortSignal): Promise<FoundEngines> {
	const wanted = env['S2OCI_ENGINE'] ?? '';
	if (wanted === 'none') return { engines: [], problems: ['S2OCI_ENGINE is none'] };
	if (wanted === 'docker') return { engines: [openEngine('docker-daemon', env)], problems: [] };
	if (wanted === 'podman') return { engines: [openEngine('podman', env)], problems: [] };
	if (wanted !== '') {
		throw new BuildError('USAGE', `S2OCI_ENGINE does not take ${JSON.stringify(wanted.slice(0, 50))}`, {
			hint: 'Use docker, podman or none; without it, the engine that answers is taken.',
		});
	}
	const found = await Promise.all([findDocker(env, signal), findPodman(env)]);
	return {
		engines: found.flatMap((each) => (typeof each === 'string' ? [] : [each])),
		problems: found.flatMap((each) => (typeof each === 'string' ? [each] : [])),
	};
}

async function findDocker(env: Environment, signal: AbortSignal): Promise<Engine | string> {
	try {
		const engine = openEngine('docker-daemon', env);
		const args = ['version', '--format', '{{.Server.Version}}'];
		const { ok } = await ask(findTool('docker', env), args, signal, ANSWER_MS);
		return ok ? engine : 'docker does not reach its daemon';
	} catch (error) {
		signal.throwIfAborted();
		return messageOf(error);
	}
}

async function findPodman(env: Environment): Promise<Engine | string> {
	try {
		return await Promise.resolve(openEngine('podman', env));
	} catch (error) {
		return messageOf(error);
	}
}
