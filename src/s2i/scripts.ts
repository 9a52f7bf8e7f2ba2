import { posix } from 'node:path';
import { BuildError, isBuildError } from '../errors.js';
import { isLocalAddress } from '../http/address.js';
import { redactUrl, redactWord } from '../redact.js';

/** Where scripts lie, each under its own name. Directories have no trailing slash. */
type ScriptsUrl =
	/** `url` may have user info and a query. */
	| { readonly kind: 'http'; readonly url: string }
	/** A directory of the host, absolute or relative to the working directory. */
	| { readonly kind: 'file'; readonly directory: string }
	/** An absolute, clean directory of the image. */
	| { readonly kind: 'image'; readonly directory: string };

/** One script at a {@link ScriptsUrl}; `text` is for messages, without secrets. */
export type ScriptAddress = (
	| { readonly kind: 'http'; readonly url: string }
	| { readonly kind: 'file' | 'image'; readonly path: string }
) & { readonly text: string };

const HINT = 'Write https://host/directory, file:///directory of this machine, or image:///directory of the image.';

/** What `--scripts-url` names; `file://a/b` is a relative path, as S2I has it. Throws USAGE for anything else. */
export function parseScriptsUrl(text: string): ScriptsUrl {
	return parse(text, (problem) => {
		const shown = JSON.stringify(redactWord(text).slice(0, 200));
		return new BuildError('USAGE', `the scripts URL ${shown} ${problem}`, { hint: HINT });
	});
}

/**
 * What the image's scripts URL names. Throws IMAGE_INVALID for all that {@link parseScriptsUrl} refuses, for `file:`, because an image
 * must not make us read the files of the host, and for addresses of cloud metadata. `label` is for messages.
 */
export function parseImageScriptsUrl(text: string, label = 'io.openshift.s2i.scripts-url'): ScriptsUrl {
	const invalid: Invalid = (problem) => {
		const shown = JSON.stringify(redactWord(text).slice(0, 200));
		return new BuildError('IMAGE_INVALID', `the image's label ${label}, ${shown}, ${problem}`, {
			hint: 'Say with --scripts-url where the scripts are, or put them into .s2i/bin of the source.',
		});
	};
	const url = parse(text, invalid);
	if (url.kind === 'file') throw invalid('names files of this machine, which an image may not read');
	if (url.kind === 'http' && isLocalAddress(new URL(url.url)))
		throw invalid('is an address that only this machine should use');
	return url;
}

/** Where the script `name` is at `base`: the name goes to the end of the path, and a query stays behind it. */
export function scriptAt(base: ScriptsUrl, name: string): ScriptAddress {
	if (base.kind === 'http') {
		const url = new URL(base.url);
		url.pathname = `${url.pathname.replace(/\/+$/, '')}/${name}`;
		return { kind: 'http', url: url.href, text: redactUrl(url) };
	}
	const path = posix.join(base.directory, name);
	return { kind: base.kind, path, text: base.kind === 'image' ? `${path} in the image` : path };
}

type Invalid = (problem: string) => BuildError;

function parse(text: string, invalid: Invalid): ScriptsUrl {
	if (/[\0-\x1f\x7f]/.test(text)) throw invalid('holds control characters');
	const [, scheme = '', rest = ''] = /^(https?|file|image):(?:\/\/)?(.*)$/i.exec(text) ?? [];
	switch (scheme.toLowerCase()) {
		case 'http':
		case 'https':
			if (!URL.canParse(text)) throw invalid('cannot be parsed');
			return { kind: 'http', url: withoutFragment(text) };
		case 'file':
			if (rest === '') throw invalid('names no directory');
			return { kind: 'file', directory: withoutSlash(decode(rest)) };
		case 'image':
			return parseImagePath(rest, invalid);
		default:
			throw invalid('is not an http, https, file or image URL');
	}
}

function parseImagePath(path: string, invalid: Invalid): ScriptsUrl {
	if (path.startsWith('/') && !path.split('/').includes('..')) return { kind: 'image', directory: withoutSlash(path) };
	throw invalid('does not name an absolute path without ".."');
}

function withoutFragment(text: string): string {
	const url = new URL(text);
	url.hash = '';
	return url.href;
}

function withoutSlash(path: string): string {
	return posix
		.normalize(path)
		.replace(/(?<=.)\/$/, '')
		.replace(/^\/+/, '/');
}

function decode(path: string): string {
	try {
		const decoded = decodeURIComponent(path);
		return /[\0-\x1f\x7f]/.test(decoded) ? path : decoded;
	} catch {
		return path;
	}
}

const DIRECTORIES = ['.s2i/bin', '.sti/bin'] as const;

/** The scripts of the S2I contract. */
export type ScriptName = 'assemble' | 'run' | 'save-artifacts' | 'usage' | 'assemble-runtime';

/** Every {@link ScriptName}. */
export const SCRIPT_NAMES: readonly ScriptName[] = ['assemble', 'run', 'save-artifacts', 'usage', 'assemble-runtime'];

/** One place at which a script may be; `text` names it in messages, without secrets. */
export type ScriptPlace = (
	| { readonly kind: 'source'; readonly path: string; readonly deprecated: boolean }
	| ScriptAddress
	/** A label that must not be followed: an error when nothing before it has the script. */
	| { readonly kind: 'refused'; readonly error: BuildError }
) & {
	readonly text: string;
	/** Whether `--scripts-url` names it. */
	readonly given: boolean;
};

/** What decides where scripts are looked for. */
export interface ScriptOrigins {
	/** Of `--scripts-url`. */
	readonly given: ScriptsUrl | undefined;
	/** Whether there is a source. */
	readonly source: boolean;
	/** The image's own, as its label or variable has it. */
	readonly image: string | undefined;
}

/**
 * Where the script `name` may be, the first that has it wins (S2I's order): `--scripts-url`, `.s2i/bin` of the source, `.sti/bin`,
 * the image's scripts URL. Each script is looked for on its own.
 */
export function scriptPlaces(name: ScriptName, { given, source, image }: ScriptOrigins): readonly ScriptPlace[] {
	const inSource = source
		? DIRECTORIES.map((directory) => ({
				kind: 'source' as const,
				path: `${directory}/${name}`,
				deprecated: directory === '.sti/bin',
				text: `${directory}/${name} in the source`,
				given: false,
			}))
		: [];
	return [
		...(given === undefined ? [] : [{ ...scriptAt(given, name), given: true }]),
		...inSource,
		...(image === undefined ? [] : [imagePlace(name, image)]),
	];
}

function imagePlace(name: ScriptName, url: string): ScriptPlace {
	try {
		return { ...scriptAt(parseImageScriptsUrl(url), name), given: false };
	} catch (error) {
		if (!isBuildError(error)) throw error;
		return { kind: 'refused', error, text: "the image's scripts URL", given: false };
	}
}

/** SCRIPT_MISSING for `name`, saying everywhere it was looked for. */
export function scriptNowhere(name: ScriptName, places: readonly ScriptPlace[]): BuildError {
	const looked = places.length === 0 ? '' : `: looked at ${places.map(({ text }) => text).join(', ')}`;
	const inSource = places.some(({ kind }) => kind === 'source') ? `add .s2i/bin/${name} to the source` : undefined;
	const last = places.at(-1);
	const labelled = last !== undefined && last.kind !== 'source' && !last.given;
	const instead = inSource ?? 'say with --scripts-url where it is';
	return new BuildError('SCRIPT_MISSING', `there is no ${name} script${looked}`, {
		hint: labelled
			? `Use an image that has the script, or ${instead}.`
			: `The image has no label io.openshift.s2i.scripts-url: is it an S2I builder image? Else ${instead}.`,
	});
}

/** What the beginning of a script, its first 512 bytes or fewer, tells about it: `text` has no `#!` line and is for /bin/sh. */
export type ScriptKind = 'interpreted' | 'program' | 'text' | 'html' | 'windows' | 'marked';

/**
 * See {@link ScriptKind}; `windows` is a `#!` line that ends with a carriage return, which the kernel takes for part of the name, `marked`
 * one that the kernel does not see behind a byte order mark.
 */
export function scriptKind(head: Uint8Array): ScriptKind {
	const text = Buffer.from(head.subarray(0, 512)).toString('latin1');
	if (text.startsWith('#!')) return /^[^\n]*\r(?:\n|$)/.test(text) ? 'windows' : 'interpreted';
	if (/^(?:\xef\xbb\xbf#!|\xff\xfe|\xfe\xff)/.test(text)) return 'marked';
	if (text.includes('\0')) return 'program';
	return /^(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|body|\?xml)\b/i.test(text) ? 'html' : 'text';
}
