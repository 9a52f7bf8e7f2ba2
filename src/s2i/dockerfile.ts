import { posix } from 'node:path';
import { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import type { Contract } from './contract.js';
import type { EnvironmentVariable } from './environment.js';

/** The files of the context, relative to it. */
export const CONTEXT = {
	source: 'upload/src',
	scripts: 'upload/scripts',
	injections: 'upload/injections',
	buildEnvironment: 'upload/build-environment',
} as const;

/** Something of the context that assemble sees and the image does not keep. */
export interface ContextMount {
	/** Relative to the context. */
	readonly source: string;
	/** Absolute. */
	readonly target: string;
}

/** What a Dockerfile is made from. */
export interface DockerfileInput {
	/** As FROM takes it. */
	readonly builder: string;
	readonly contract: Pick<Contract, 'destination' | 'assembleUser' | 'user'>;
	/** Paths in the container. */
	readonly assemble: string;
	readonly run: string;
	/** Whether the context has scripts that belong to `scripts` of the destination. */
	readonly hasScripts: boolean;
	readonly labels: readonly EnvironmentVariable[];
	readonly environment: readonly EnvironmentVariable[];
	/** Whether the context has {@link CONTEXT}`.buildEnvironment`. */
	readonly hasBuildEnvironment: boolean;
	/** Ids; whoever builds gives the values. */
	readonly secrets: readonly string[];
	readonly injections: readonly ContextMount[];
	/** The image whose artifacts are restored; undefined for a clean build. */
	readonly previous: PreviousImage | undefined;
}

export interface PreviousImage {
	/** As FROM takes it. */
	readonly image: string;
	/** Path in the container. */
	readonly saveArtifacts: string;
	/** Whether the context has it, so that the new one is run and not the previous image's. */
	readonly isOurs: boolean;
}

const MOUNTED = '/run/s2oci';
const ARTIFACTS = '/tmp/artifacts.tar';

/**
 * A Dockerfile that does what a build does: source and scripts are copied for the assemble user, assemble runs as it, and USER is
 * the image's again. Values of `--build-env`, secrets and injected files are mounted for that one RUN, so neither layers nor the
 * history have them. Equal input gives equal text. What assemble writes to `image_metadata.json` is not read. Throws USAGE for values
 * that no Dockerfile can hold.
 */
export function formatDockerfile(input: DockerfileInput): string {
	const { contract, previous } = input;
	const { destination, assembleUser, user } = contract;
	const owner = assembleUser.includes(':') ? assembleUser : `${assembleUser || '0'}:0`;
	const copy = (source: string, target: string) =>
		`COPY --chown=${quoteUser(owner)} ${quoteStrings([source, quotePath(posix.join(destination, target))])}`;
	const become = sameUser(assembleUser, user) ? [] : [`USER ${quoteUser(assembleUser || '0')}`];
	const restore = sameUser(assembleUser, user) ? [] : [`USER ${quoteUser(user || '0')}`];
	const sections = [
		['# Made by s2oci. Build it in this directory, with any tool that knows RUN --mount where one is below.'],
		...(previous === undefined ? [] : [savedArtifacts(previous, contract, copy)]),
		[`FROM ${quotePlain(input.builder, 'the name of the builder image')}`],
		['# What the image is, and what it was made from.', ...quoteAssignments('LABEL', input.labels)],
		['# The environment of the build, which the image keeps.', ...quoteAssignments('ENV', input.environment)],
		...(input.hasScripts
			? [['# Scripts that the builder image does not have.', copy(CONTEXT.scripts, 'scripts')]]
			: []),
		['# The source.', copy(CONTEXT.source, 'src')],
		['# Assemble, as its own user.', ...become, assembleInstruction(input), ...restore],
		['# The image runs its run script.', `CMD ${quoteStrings([input.run])}`],
	];
	return `${sections
		.filter((lines) => lines.some((line) => !line.startsWith('#')) || lines === sections[0])
		.map((lines) => lines.join('\n'))
		.join('\n\n')}\n`;
}

/** The file that the shell reads before assemble: `--build-env` as exports. Throws USAGE for names that are none to a shell. */
export function formatBuildEnvironment(variables: readonly EnvironmentVariable[]): string {
	return variables
		.map(({ name, value }) => {
			if (/^[A-Za-z_]\w*$/.test(name)) return `export ${name}='${value.replaceAll("'", "'\\''")}'\n`;
			throw new BuildError('USAGE', `--build-env ${JSON.stringify(redact(name))} cannot be passed on by a Dockerfile`, {
				hint: 'The name must be one that a shell knows: letters, digits and _.',
			});
		})
		.join('');
}

function savedArtifacts(
	previous: PreviousImage,
	{ destination, assembleUser }: DockerfileInput['contract'],
	copy: (source: string, target: string) => string,
): readonly string[] {
	const { saveArtifacts, isOurs } = previous;
	const kept = posix.join(destination, 'scripts/save-artifacts');
	const candidates = isOurs ? [kept] : [...new Set([saveArtifacts, kept])];
	const script = `for script; do if [ -x "$script" ]; then "$script" > ${ARTIFACTS} && exit; fi; done; : > ${ARTIFACTS}`;
	return [
		'# The artifacts of the previous image; without any the build is a clean one.',
		`FROM ${quotePlain(previous.image, 'the name of the previous image')} AS cached`,
		...(isOurs ? [copy(`${CONTEXT.scripts}/save-artifacts`, 'scripts/save-artifacts')] : []),
		`USER ${quoteUser(assembleUser || '0')}`,
		`RUN ${quoteStrings(['/bin/sh', '-c', script, 'sh', ...candidates])}`,
	];
}

function assembleInstruction(input: DockerfileInput): string {
	const { previous, hasBuildEnvironment, assemble } = input;
	const artifacts = posix.join(input.contract.destination, 'artifacts');
	const mounts = [
		...input.secrets.map((id) => `type=secret,id=${quotePlain(id, 'the id of a secret')},mode=0444,required=true`),
		...input.injections.map(bindMount),
		...(hasBuildEnvironment
			? [bindMount({ source: CONTEXT.buildEnvironment, target: `${MOUNTED}/build-environment` })]
			: []),
		...(previous === undefined
			? []
			: [`${bindMount({ source: ARTIFACTS, target: `${MOUNTED}/artifacts.tar` })},from=cached`]),
	];
	const steps = [
		...(previous === undefined ? [] : [RESTORE]),
		...(hasBuildEnvironment ? [`. ${MOUNTED}/build-environment`] : []),
		...(previous === undefined ? ['exec "$0"'] : ['"$0"', 'status=$?', 'rm -rf "$1"', 'exit "$status"']),
	];
	const inShell = previous !== undefined || hasBuildEnvironment;
	const argv = inShell ? ['/bin/sh', '-c', steps.join('; '), assemble, artifacts] : [assemble];
	return ['RUN', ...mounts.map((mount) => `--mount=${mount}`), quoteStrings(argv)].join(' ');
}

const RESTORE = `if [ -s ${MOUNTED}/artifacts.tar ]; then mkdir -p "$1" && tar -C "$1" -xf ${MOUNTED}/artifacts.tar && export S2I_INCREMENTAL=true || exit; fi`;

function bindMount({ source, target }: ContextMount): string {
	const what = 'the path of an injected file';
	return `type=bind,source=${quotePlain(source, what)},target=${quotePlain(target, what)}`;
}

function quoteStrings(words: readonly string[]): string {
	return `[${words.map((word) => JSON.stringify(word)).join(', ')}]`;
}

function sameUser(one: string, other: string): boolean {
	return one === other || (isRoot(one) && isRoot(other));
}

function isRoot(user: string): boolean {
	return ['', '0', 'root'].includes(user);
}

/** What the parsers of Dockerfiles take on one line, in bytes; Go's line scanner ends at 64 KiB. */
const MAX_LINE = 60 * 1024;

/**
 * One `LABEL` or `ENV` instruction that sets `variables`, a line for each, so that nothing in a name or value is expanded or ends it.
 * Empty for none. Throws USAGE for line breaks, which a Dockerfile cannot hold, and for values over 60 KiB.
 */
export function quoteAssignments(
	instruction: 'LABEL' | 'ENV',
	variables: readonly EnvironmentVariable[],
): readonly string[] {
	if (variables.length === 0) return [];
	const words = variables.map(({ name, value }) => {
		const what = `${instruction === 'ENV' ? 'the variable' : 'the label'} ${JSON.stringify(redact(name).slice(0, 100))}`;
		return `${quoteValue(name, what)}=${quoteValue(value, what)}`;
	});
	return [`${instruction} ${words.join(' \\\n    ')}`];
}

/** A path for an instruction that expands variables and quotes in it, such as COPY in JSON form. */
export function quotePath(path: string): string {
	return path.replace(/[\\$'"]/g, '\\$&');
}

/** A word for a place that knows no quotes at all: FROM, and the fields of `--mount`. Throws USAGE when it would need some. */
function quotePlain(word: string, what: string): string {
	if (word !== '' && !/[\s,=$"'\\`#\0-\x1f\x7f]/.test(word)) return word;
	throw impossible(`${what}, ${JSON.stringify(redact(word).slice(0, 200))},`, 'Take blanks and punctuation out of it.');
}

/** A user for USER and `--chown`. Throws IMAGE_INVALID for anything but ids and names: an image may say anything. */
function quoteUser(user: string): string {
	if (/^[A-Za-z0-9_][\w.-]*\$?(?::[A-Za-z0-9_][\w.-]*\$?)?$/.test(user)) return user.replaceAll('$', '\\$');
	const message = `the USER ${JSON.stringify(redact(user).slice(0, 100))} is neither a number nor a name`;
	throw new BuildError('IMAGE_INVALID', message, {
		hint: 'Check USER and the label io.openshift.s2i.assemble-user of the builder image.',
	});
}

function quoteValue(text: string, what: string): string {
	if (/[\0\r\n]/.test(text)) throw impossible(what, 'It holds a line break: put it into a file of the source.');
	if (Buffer.byteLength(text) > MAX_LINE)
		throw impossible(what, 'It is longer than 60 KiB: put it into a file of the source.');
	return `"${text.replace(/[\\$"]/g, '\\$&')}"`;
}

function impossible(what: string, hint: string): BuildError {
	return new BuildError('USAGE', `${what} cannot be written to a Dockerfile`, { hint });
}
