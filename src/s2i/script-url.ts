import { posix } from 'node:path';
import { BuildError } from '../errors.js';
import { isLocalAddress } from '../http/address.js';
import { redactUrl, redactWord } from '../redact.js';

/** Where scripts lie, each under its own name. Directories have no trailing slash. */
export type ScriptsUrl =
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
