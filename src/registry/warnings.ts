import { redact } from '../redact.js';
import type { Middleware } from './transport.js';

/** What the registry `host` wants the user to know. */
export type OnWarning = (warning: { readonly host: string; readonly text: string }) => void;

const MAX_HEADER = 4096;
const MAX_TEXT = 300;
const MAX_WARNINGS = 10;
/** `299 - "text"` (distribution-spec v1.1 "Warnings"; RFC 7234 5.5); other codes and agents are those of caches. */
const WARNING = /(?<![^\s,])299[\t ]+-[\t ]+"((?:[^"\\]|\\.)*)"/g;

/**
 * Passes on what registries say in Warning headers, each text once for each registry, at most ten of them. Redirected requests and those to
 * token servers carry no `access`: what storage and proxies of others say is not the registry's word.
 */
export function tellWarnings(onWarning: OnWarning): Middleware {
	const told = new Map<string, Set<string>>();
	return (next) => async (request, signal) => {
		const response = await next(request, signal);
		const header = response.headers['warning'];
		if (request.access === undefined || header === undefined) return response;
		const { host } = request.url;
		const texts = told.get(host) ?? new Set();
		told.set(host, texts);
		for (const text of parseWarnings(header)) {
			if (texts.has(text) || texts.size >= MAX_WARNINGS) continue;
			texts.add(text);
			onWarning({ host, text });
		}
		return response;
	};
}

/** The texts of a Warning header, redacted, on one line, each of at most 300 characters; of a header over 4096 bytes its beginning. */
export function parseWarnings(header: string): readonly string[] {
	return [...header.slice(0, MAX_HEADER).matchAll(WARNING)]
		.map(([, quoted = '']) => redact(quoted.replace(/\\(.)/gs, '$1')).replace(/\s+/g, ' ').trim().slice(0, MAX_TEXT))
		.filter((text) => text !== '');
}
