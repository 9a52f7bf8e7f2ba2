import { posix } from 'node:path';
import { BuildError } from '../errors.js';
import type { ContainerConfig } from '../oci/image.js';
import { redact } from '../redact.js';
import { readImageEnvironment } from './environment.js';

/** What a builder image says about how it wants to be used. Paths are absolute, clean, and inside the image. */
export interface Contract {
	/** As the image gives it; undefined when the image has no scripts of its own. */
	readonly scriptsUrl: string | undefined;
	/** Where an `image://` scripts URL points; undefined when there is no such URL. */
	readonly scriptsDir: string | undefined;
	/** The directory that holds `src`, `scripts` and `artifacts`. */
	readonly destination: string;
	/** USER syntax, resolved by {@link resolveUser}; `''` is root. */
	readonly assembleUser: string;
	readonly user: string;
	readonly workingDir: string;
	readonly env: Readonly<Record<string, string>>;
	readonly volumes: readonly string[];
	/** One sentence for each old label or variable that was used. */
	readonly deprecations: readonly string[];
}

/** The PATH a container gets when its image sets none, as Docker has it. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const SCRIPTS_URL = 'io.openshift.s2i.scripts-url';
const DESTINATION = 'io.openshift.s2i.destination';
const ASSEMBLE_USER = 'io.openshift.s2i.assemble-user';

/**
 * The S2I contract of a builder image: labels win over their deprecated forms, those over the variables of old images. A scripts
 * URL that is not `image://` is kept as it is and fails only when a script is needed from it. Throws IMAGE_INVALID for unclean paths.
 */
export function readContract(config: ContainerConfig): Contract {
	const env = Object.fromEntries(readImageEnvironment(config.Env).map(({ name, value }) => [name, value]));
	const deprecations: string[] = [];
	const look = (label: string, oldLabel: string, variable: string) =>
		firstOf(config.Labels ?? {}, env, [label, oldLabel, variable], deprecations);
	const scriptsUrl = look(SCRIPTS_URL, 'io.s2i.scripts-url', 'STI_SCRIPTS_URL');
	const destination = look(DESTINATION, 'io.s2i.destination', 'STI_LOCATION') ?? '/tmp';
	return {
		scriptsUrl,
		scriptsDir: scriptsUrl === undefined ? undefined : readScriptsDir(scriptsUrl),
		destination: checkDestination(cleanPath(destination, `label ${DESTINATION}`)),
		assembleUser: nonEmpty(config.Labels?.[ASSEMBLE_USER]) ?? config.User ?? '',
		user: config.User ?? '',
		workingDir: cleanPath(nonEmpty(config.WorkingDir) ?? '/', 'WORKDIR'),
		env: { PATH: DEFAULT_PATH, ...env },
		volumes: Object.keys(config.Volumes ?? {}).map((path) => cleanPath(path, 'VOLUME')),
		deprecations,
	};
}

function firstOf(
	labels: Readonly<Record<string, string>>,
	env: Readonly<Record<string, string>>,
	names: readonly [label: string, oldLabel: string, variable: string],
	deprecations: string[],
): string | undefined {
	const [label, oldLabel, variable] = names;
	const current = nonEmpty(labels[label]);
	if (current !== undefined) return current;
	for (const [kind, name, value] of [
		['label', oldLabel, nonEmpty(labels[oldLabel])],
		['variable', variable, nonEmpty(env[variable])],
	] as const) {
		if (value === undefined) continue;
		deprecations.push(`the builder image uses the deprecated ${kind} ${name}; its replacement is the label ${label}`);
		return value;
	}
	return undefined;
}

function readScriptsDir(scriptsUrl: string): string | undefined {
	if (!scriptsUrl.startsWith('image://')) return undefined;
	return cleanPath(scriptsUrl.slice('image://'.length), `label ${SCRIPTS_URL}`);
}

/** Paths reach the kernel as mount points and working directories, and labels are hostile: no `..`, no control characters. */
function cleanPath(path: string, what: string): string {
	const clean = posix.normalize(path).replace(/(?<=.)\/$/, '');
	if (path.startsWith('/') && !path.split('/').includes('..') && !/[\0-\x1f\x7f]/.test(path))
		return clean.replace(/^\/+/, '/');
	throw new BuildError(
		'IMAGE_INVALID',
		`the builder image's ${what} is not an absolute path without "..": ${JSON.stringify(redact(path).slice(0, 200))}`,
		{ hint: 'Use another builder image, or ask its maintainer to mend this setting.' },
	);
}

/** The kernel's own filesystems hide what is below them, and runc's CVE-2019-19921 and CVE-2025-52565 began with mounts there. */
function checkDestination(destination: string): string {
	if (!/^\/(?:(?:proc|sys|dev)(?:\/|$)|$)/.test(destination)) return destination;
	throw new BuildError(
		'IMAGE_INVALID',
		`the builder image wants its source below ${destination}, which cannot hold files`,
		{
			hint: `The label ${DESTINATION} must name an ordinary directory such as /tmp.`,
		},
	);
}

function nonEmpty(text: string | undefined): string | undefined {
	return text === '' ? undefined : text;
}
