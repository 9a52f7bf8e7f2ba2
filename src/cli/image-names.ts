import { type ImageLocation, parseImageLocation } from '../content/location.js';
import type { Engine } from '../engine/engine.js';
import { BuildError, isBuildError } from '../errors.js';
import { absolutePath } from '../host-path.js';
import { namesRegistry } from '../oci/reference.js';
import type { BuildEvent } from '../pipeline/events.js';
import { listenForInterrupt } from './interrupt.js';
import type { Reading } from './options.js';

/** Where the names on a command line lead; the answers are names that say it themselves. */
export interface ImageNames {
	/** Of an image that is read. `policy` is its pull policy: `always` means a registry. */
	readonly source: (name: string, policy?: string) => Promise<string>;
	/** Of an image that is written; to be asked after the sources, which decide between two engines. Throws USAGE. */
	readonly target: (name: string) => Promise<string>;
	/** What is to be told of the names since the last call: one line, and warnings. */
	readonly notices: () => readonly BuildEvent[];
}

const CHOICE = 'podman:, docker-daemon: or docker:// before a name, or S2OCI_ENGINE, choose another place';
/** An address, or localhost, with a port: `app:5000` may be a name with a tag. */
const HOST_ALONE = /^(?:localhost|\d+(?:\.\d+){3}|[\w-]+(?:\.[\w-]+)+):\d+$/;
/** How long an engine may think about a name. */
const LOOK_UP_MS = 60_000;

/**
 * The names of `s2oci` mean registries unless they say something else, and what is written must say which. `s2i` and `sti` look into local
 * engines first, and write there what names no registry, as S2I does with everything.
 */
export function openImageNames(reading: Pick<Reading, 'env' | 'program'>): ImageNames {
	if (reading.program !== 's2oci') return localNames(reading);
	return {
		source: (name) => Promise.resolve(name),
		target: (name) => (isBare(name) ? Promise.reject(noRegistry(name)) : Promise.resolve(name)),
		notices: () => [],
	};
}

function localNames({ env, program }: Pick<Reading, 'env' | 'program'>): ImageNames {
	const limit = patience();
	const look = async (signal: AbortSignal) => (await import('../engine/engine.js')).findEngines(env, signal);
	let looking: ReturnType<typeof look> | undefined;
	let home: Engine | undefined;
	const told: string[] = [];
	const warnings: BuildEvent[] = [];
	return {
		source: async (name, policy) => {
			if (policy === 'always' || !isReference(name)) return name;
			using interrupt = listenForInterrupt(limit);
			const { signal } = interrupt;
			const { engines } = await (looking ??= look(signal));
			for (const engine of engines) {
				if (!(await has(engine, name, warnings, signal))) continue;
				home ??= engine;
				told.push(`${name} is read from ${engine.name}`);
				return `${engine.type}:${name}`;
			}
			const asked = engines.map((engine) => engine.name).join(' or ');
			if (asked !== '') told.push(`${name} is read from its registry, ${asked} has none`);
			return name;
		},
		target: async (name) => {
			if (!isReference(name)) return name;
			using interrupt = listenForInterrupt(limit);
			const { engines, problems } = await (looking ??= look(interrupt.signal));
			const engine = home ?? engines[0];
			if (engine === undefined && isBare(name)) throw noRegistry(name, problems.join(', '));
			if (engine === undefined) return name;
			told.push(isBare(name) ? `${name} goes to ${engine.name}` : `${name} goes to its registry`);
			return isBare(name) ? `${engine.type}:${name}` : name;
		},
		notices: () => {
			const facts = told.splice(0);
			const line = `called as ${program}: ${facts.join('; ')} (${CHOICE})`;
			return [
				...warnings.splice(0),
				...(facts.length === 0 ? [] : [{ type: 'log', level: 1, message: line } as const]),
			];
		},
	};
}

/** Where a name leads that says it itself. A location in a directory that is gone is refused, with USAGE, before anything runs. */
export function readLocation(text: string): ImageLocation {
	const location = parseImageLocation(text);
	if ('path' in location) absolutePath(location.path);
	return location;
}

/** Aborted with ENGINE_UNAVAILABLE once engines were asked for a minute. */
function patience(): AbortSignal {
	const late = new AbortController();
	const message = `the local engine has not answered for ${LOOK_UP_MS / 1000} s`;
	const hint = `Find out what \`podman images\` or \`docker images\` waits for, or build without an engine: S2OCI_ENGINE=none.`;
	setTimeout(() => late.abort(new BuildError('ENGINE_UNAVAILABLE', message, { hint })), LOOK_UP_MS).unref();
	return late.signal;
}

/** An engine that does not work is told of once, by what needs it; images may still be on a registry. */
async function has(engine: Engine, name: string, warnings: BuildEvent[], signal: AbortSignal): Promise<boolean> {
	try {
		return (await engine.find(name, signal)) !== undefined;
	} catch (error) {
		if (!isBuildError(error) || error.code === 'INTERRUPTED') throw error;
		warnings.push({
			type: 'warning',
			code: error.code,
			message: `${error.message}; ${name} is read from its registry`,
		});
		return false;
	}
}

/** Whether `name` is a reference that says nothing of where it leads. */
function isReference(name: string): boolean {
	try {
		return name !== '' && !name.startsWith('docker://') && parseImageLocation(name).type === 'registry';
	} catch {
		return false;
	}
}

function isBare(name: string): boolean {
	return isReference(name) && !namesRegistry(name);
}

function noRegistry(name: string, problems = ''): BuildError {
	if (HOST_ALONE.test(name)) {
		return new BuildError('USAGE', `${name} is a registry, and does not say which repository of it the image goes to`, {
			hint: `Name one behind it, such as ${name}/team/app:1.2.`,
		});
	}
	const why = problems === '' ? '' : `, and there is no local engine (${problems})`;
	return new BuildError('USAGE', `${name} does not say where the image goes: it names no registry${why}`, {
		hint:
			`Name a registry (registry.example/${name}, or docker.io/… for Docker Hub), a local engine (podman:${name}, docker-daemon:${name}), ` +
			'or a directory (--output oci:DIR).',
	});
}
