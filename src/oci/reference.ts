import { BuildError } from '../errors.js';
import { redactWord } from '../redact.js';
import { type Digest, isDigest } from './digest.js';

/** A repository on a registry. `registry` is a host with an optional port, `docker.io` for Docker Hub. */
export interface RepositoryName {
	readonly registry: string;
	readonly path: string;
}

/** `registry/path[:tag][@digest]` after Docker Hub defaulting; the digest wins when both are present. */
export interface ImageReference {
	readonly repository: RepositoryName;
	readonly tag?: string;
	readonly digest?: Digest;
}

const HUB = 'docker.io';
const HUB_ALIASES: ReadonlySet<string> = new Set([HUB, 'index.docker.io', 'registry-1.docker.io']);
const HOST =
	/^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?$/;
const COMPONENT = /^[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const MAX_NAME = 255;

/**
 * `text` as an image reference, with Docker Hub's defaults and, without tag and digest, the tag `latest`.
 * Throws REFERENCE_INVALID for what the grammar of the distribution spec does not allow.
 */
export function parseReference(text: string): ImageReference {
	if (text.length > 1000) throw invalid(text, 'it is too long');
	const [beforeDigest, digestText] = splitOnce(text, '@');
	if (digestText !== undefined && !isDigest(digestText)) {
		throw invalid(text, 'what follows @ is not a digest (sha256: and 64 lower-case hexadecimal characters)');
	}
	const [name, tag] = splitTag(beforeDigest);
	if (tag !== undefined && !TAG.test(tag)) throw invalid(text, 'the tag may hold letters, digits, _ . - only');
	const repository = parseRepository(name, text);
	const chosenTag = tag ?? (digestText === undefined ? 'latest' : undefined);
	return {
		repository,
		...(chosenTag === undefined ? {} : { tag: chosenTag }),
		...(digestText === undefined ? {} : { digest: digestText }),
	};
}

/** `reference` in full: `docker.io/library/node:22`, with both tag and digest when it has both. */
export function formatReference(reference: ImageReference): string {
	const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
	const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
	return `${formatRepository(reference.repository)}${tag}${digest}`;
}

/** Whether `text` says on which registry the image is, instead of leaving it to the default, Docker Hub. */
export function namesRegistry(text: string): boolean {
	const [name] = splitOnce(text, '@');
	const [first, rest] = splitOnce(name, '/');
	return rest !== undefined && isHost(first);
}

/** Whether `text` says which tag of a repository it means, instead of leaving it to the default, `latest`. */
export function namesTag(text: string): boolean {
	const [name] = splitOnce(text, '@');
	return splitTag(name)[1] !== undefined;
}

/** `name` as `registry/path`. */
export function formatRepository(name: RepositoryName): string {
	return `${name.registry}/${name.path}`;
}

function parseRepository(name: string, text: string): RepositoryName {
	const { registry, path } = applyDefaults(name);
	if (!HOST.test(registry) || !isPort(registry)) {
		throw invalid(text, 'the registry is not a host name with an optional port');
	}
	if (!path.split('/').every((component) => COMPONENT.test(component))) {
		throw invalid(text, 'a repository is lower-case letters and digits, separated by single / . _ or by -');
	}
	if (registry.length + 1 + path.length > MAX_NAME) {
		throw invalid(text, `its name is longer than ${MAX_NAME} characters`);
	}
	return { registry, path };
}

function applyDefaults(name: string): RepositoryName {
	const [first, rest] = splitOnce(name, '/');
	const typed = rest !== undefined && isHost(first) ? { registry: first, path: rest } : { registry: HUB, path: name };
	if (!HUB_ALIASES.has(typed.registry)) return typed;
	return { registry: HUB, path: typed.path.includes('/') ? typed.path : `library/${typed.path}` };
}

function isHost(component: string): boolean {
	return /[.:[]/.test(component) || component === 'localhost' || component !== component.toLowerCase();
}

function isPort(registry: string): boolean {
	const port = /:([0-9]+)$/.exec(registry)?.[1];
	return port === undefined || registry.endsWith(']') || (Number(port) > 0 && Number(port) < 65536);
}

function splitTag(name: string): [string, string | undefined] {
	const colon = name.lastIndexOf(':');
	return colon > name.lastIndexOf('/') ? [name.slice(0, colon), name.slice(colon + 1)] : [name, undefined];
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
	const at = text.indexOf(separator);
	return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function invalid(text: string, why: string): BuildError {
	const shown = redactWord(text).slice(0, 200);
	return new BuildError('REFERENCE_INVALID', `not an image reference: ${JSON.stringify(shown)}: ${why}`, {
		hint: hintFor(shown),
	});
}

/** What somebody who typed a path or a URL had in mind. */
function hintFor(text: string): string {
	if (/^\.{0,2}\/./.test(text)) return `A directory that holds images in the OCI layout is oci:${text}`;
	if (text.startsWith('https://')) return 'Leave out https://, which is how registries are asked anyway.';
	if (text.startsWith('http://')) return 'Leave out http://; --insecure-registry HOST is for a registry without TLS.';
	return 'Write it as [registry/]repository[:tag][@digest], for example quay.io/sclorg/nodejs-22-c9s:latest.';
}
