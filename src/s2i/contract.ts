import { posix } from 'node:path';
import { BuildError, type ErrorCode } from '../errors.js';
import type { ContainerConfig } from '../oci/image.js';
import { redact } from '../redact.js';
import { checkEnvironmentSize, readImageEnvironment } from './environment.js';

/** Who decided which user runs a script. */
export type UserOrigin = 'option' | 'label' | 'image';

/** What a builder or runtime image says about how it wants to be used. Paths are absolute, clean, and inside the image. */
export interface Contract {
	/** As the image gives it; undefined when the image has no scripts of its own. */
	readonly scriptsUrl: string | undefined;
	/** Where an `image://` scripts URL points; undefined when there is no such URL. */
	readonly scriptsDir: string | undefined;
	/** The directory that holds `src`, `scripts` and `artifacts`. */
	readonly destination: string;
	/** USER syntax, resolved by {@link resolveUser}; `''` is root. */
	readonly assembleUser: string;
	readonly assembleUserFrom: UserOrigin;
	/** Who runs assemble-runtime when this is a runtime image. */
	readonly assembleRuntimeUser: string;
	readonly assembleRuntimeUserFrom: UserOrigin;
	readonly user: string;
	/** A relative one is below `/`, as buildah has it. */
	readonly workingDir: string;
	readonly env: Readonly<Record<string, string>>;
	readonly volumes: readonly string[];
	/** What a runtime image wants of the builder, each `SRC[:DST]` as `--runtime-artifact` has it. */
	readonly assembleInputFiles: readonly string[];
	/** Instructions for builds on top of this image, in Dockerfile syntax. */
	readonly onBuild: readonly string[];
	/** One sentence for each old label or variable that was used. */
	readonly deprecations: readonly string[];
}

/** The PATH a container gets when its image sets none, as Docker has it. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What the command line says instead of the image; absent and empty values leave the image's. */
export interface ContractOverrides {
	readonly destination?: string | undefined;
	readonly assembleUser?: string | undefined;
	readonly assembleRuntimeUser?: string | undefined;
}

/** As deep as the directories of a layer may be, and as many as are found in the time of a moment. */
const PATH_PARTS = 256;
const VOLUME_PARTS = 10_000;

const SCRIPTS_URL = 'io.openshift.s2i.scripts-url';
const DESTINATION = 'io.openshift.s2i.destination';
const ASSEMBLE_USER = 'io.openshift.s2i.assemble-user';
const ASSEMBLE_RUNTIME_USER = 'io.openshift.s2i.assemble-runtime-user';
/** The label of a runtime image that names its artifacts. */
export const ASSEMBLE_INPUT_FILES = 'io.openshift.s2i.assemble-input-files';

/**
 * The S2I contract of a builder or runtime image: `overrides` win over labels, labels over their deprecated forms, those over the
 * variables of old images. A scripts URL that is not `image://` is kept as it is and fails only when a script is needed from it; the
 * one of the command line is no override but one more place to look. Throws
 * IMAGE_UNSUPPORTED for an environment that no process can have and for volumes that are too many, IMAGE_INVALID for unclean paths, USAGE when it was the command line that gave them.
 */
export function readContract(config: ContainerConfig, overrides: ContractOverrides = {}): Contract {
	const labels = config.Labels ?? {};
	const env = Object.fromEntries(readImageEnvironment(config.Env).map(({ name, value }) => [name, value]));
	checkEnvironmentSize(env, 'image');
	const deprecations: string[] = [];
	const look = (label: string, oldLabel: string, variable: string) =>
		firstOf(labels, env, [label, oldLabel, variable], deprecations);
	const scriptsUrl = look(SCRIPTS_URL, 'io.s2i.scripts-url', 'STI_SCRIPTS_URL');
	const assemble = findUser(overrides.assembleUser, labels[ASSEMBLE_USER], config.User);
	const assembleRuntime = findUser(overrides.assembleRuntimeUser, labels[ASSEMBLE_RUNTIME_USER], config.User);
	return {
		scriptsUrl,
		scriptsDir: scriptsUrl === undefined ? undefined : readScriptsDir(scriptsUrl),
		destination: readDestination(overrides.destination, () => look(DESTINATION, 'io.s2i.destination', 'STI_LOCATION')),
		assembleUser: assemble.user,
		assembleUserFrom: assemble.from,
		assembleRuntimeUser: assembleRuntime.user,
		assembleRuntimeUserFrom: assembleRuntime.from,
		user: config.User ?? '',
		workingDir: cleanPath(posix.resolve('/', config.WorkingDir ?? ''), fromImage('WORKDIR')),
		env: { PATH: DEFAULT_PATH, ...env },
		volumes: readVolumes(config.Volumes ?? {}),
		assembleInputFiles: splitList(labels[ASSEMBLE_INPUT_FILES]),
		onBuild: config.OnBuild ?? [],
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
		deprecations.push(`the image uses the deprecated ${kind} ${name}; its replacement is the label ${label}`);
		return value;
	}
	return undefined;
}

function findUser(
	option: string | undefined,
	label: string | undefined,
	user: string | undefined,
): { readonly user: string; readonly from: UserOrigin } {
	const [fromOption, fromLabel] = [nonEmpty(option), nonEmpty(label)];
	if (fromOption !== undefined) return { user: fromOption, from: 'option' };
	return fromLabel === undefined ? { user: user ?? '', from: 'image' } : { user: fromLabel, from: 'label' };
}

function splitList(text = ''): readonly string[] {
	return text
		.split(';')
		.map((part) => part.trim())
		.filter((part) => part !== '');
}

function readScriptsDir(scriptsUrl: string): string | undefined {
	if (!scriptsUrl.startsWith('image://')) return undefined;
	return cleanPath(scriptsUrl.slice('image://'.length), fromImage(`label ${SCRIPTS_URL}`));
}

function readDestination(option: string | undefined, look: () => string | undefined): string {
	if (nonEmpty(option) === undefined) return checkDestination(look() ?? '/tmp', fromImage(`label ${DESTINATION}`));
	return checkDestination(option ?? '', {
		code: 'USAGE',
		name: '--destination',
		hint: 'Name an ordinary directory such as /tmp.',
	});
}

/**
 * Where the volumes are: relative ones below `/`, as runc has it (libcontainer, createMountpoint in the root). One of the root itself is
 * none that a container could have.
 */
function readVolumes(volumes: Readonly<Record<string, object>>): readonly string[] {
	const names = Object.keys(volumes);
	const parts = names.map((path) => path.split('/').length);
	const total = parts.reduce((sum, each) => sum + each, 0);
	if (total > VOLUME_PARTS || parts.some((each) => each > PATH_PARTS)) throw unusableVolumes();
	const paths = names.map((path) => posix.resolve('/', path));
	return [...new Set(paths)].filter((path) => path !== '/');
}

function unusableVolumes(): BuildError {
	const message = `the image has volumes whose paths have more than ${PATH_PARTS} parts, or ${VOLUME_PARTS} together`;
	return new BuildError('IMAGE_UNSUPPORTED', message, {
		hint: 'Give the image fewer volumes, or shorter paths for them.',
	});
}

/** Who gave a path, and what to say when it is not one. */
interface PathOrigin {
	readonly code: ErrorCode;
	readonly name: string;
	readonly hint: string;
}

function fromImage(setting: string): PathOrigin {
	const hint = 'Use another image, or ask its maintainer to fix this setting.';
	return { code: 'IMAGE_INVALID', name: `the image's ${setting}`, hint };
}

/** Paths reach the kernel as mount points and working directories, and labels are hostile: no `..`, no control characters. */
function cleanPath(path: string, { code, name, hint }: PathOrigin): string {
	const clean = posix.normalize(path).replace(/(?<=.)\/$/, '');
	if (path.startsWith('/') && !path.split('/').includes('..') && !/[\0-\x1f\x7f]/.test(path))
		return clean.replace(/^\/+/, '/');
	const shown = JSON.stringify(redact(path).slice(0, 200));
	throw new BuildError(code, `${name} is not an absolute path without "..": ${shown}`, { hint });
}

/** The kernel's own filesystems hide what is below them, and runc's CVE-2019-19921 and CVE-2025-52565 began with mounts there. */
function checkDestination(path: string, origin: PathOrigin): string {
	const destination = cleanPath(path, origin);
	if (!/^\/(?:(?:proc|sys|dev)(?:\/|$)|$)/.test(destination)) return destination;
	throw new BuildError(origin.code, `${origin.name} wants the source below ${destination}, which cannot hold files`, {
		hint: origin.hint,
	});
}

function nonEmpty(text: string | undefined): string | undefined {
	return text === '' ? undefined : text;
}
