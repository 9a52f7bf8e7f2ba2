import { BuildError } from '../errors.js';
import { redactUrl } from '../redact.js';
import { isLocalAddress, isLoopback } from './address.js';
import type { NamedBy } from './lookup.js';

/** Where a request goes, and the Authorization header that its origin gets. */
export interface Hop {
	/** Without user info and fragment. */
	readonly url: URL;
	readonly authorization: string | undefined;
	readonly namedBy: NamedBy;
}

/** The first hop to `text`, which `namedBy` named, user info made an Authorization header (RFC 7617). Throws HTTP_FAILED for what is no http or https URL. */
export function firstHop(text: string, namedBy: 'user' | 'image' = 'user'): Hop {
	if (!URL.canParse(text)) throw notHttp('the URL cannot be parsed');
	const url = new URL(text);
	if (url.protocol !== 'http:' && url.protocol !== 'https:')
		throw notHttp(`${redactUrl(url)} is not an http or https URL`);
	const authorization = basicOf(url);
	return { url: bare(url), authorization, namedBy };
}

/**
 * Where the redirect `location` leads from `hop`. Authorization stays at its origin: once scheme, host or port change it is gone for
 * good (CVE-2020-15157). Throws HTTP_FAILED for what a hostile server would want: from https down to http, other schemes, and
 * addresses of this machine or of cloud metadata.
 */
export function nextHop(hop: Hop, location: string): Hop {
	const from = hop.url;
	if (!URL.canParse(location, from.href)) throw refused(from, 'an address that is not a URL');
	const to = bare(new URL(location, from));
	if (to.origin === from.origin) return { ...hop, url: to };
	if (to.protocol !== 'https:' && to.protocol !== 'http:')
		throw refused(from, `an address with the scheme ${to.protocol}`);
	if (from.protocol === 'https:' && to.protocol === 'http:')
		throw refused(from, `${redactUrl(to)}, which is not encrypted`);
	if ((isLoopback(to) && !isLoopback(from)) || isLocalAddress(to))
		throw refused(from, `${redactUrl(to)}, an address that only this machine should use`);
	return { url: to, authorization: undefined, namedBy: to.hostname === from.hostname ? hop.namedBy : from };
}

function bare(url: URL): URL {
	url.username = '';
	url.password = '';
	url.hash = '';
	return url;
}

/** The Authorization header for the user info of a URL (RFC 7617); undefined where it has none. A stray `%` stands for itself. */
export function basicOf({ username, password }: URL): string | undefined {
	if (username === '' && password === '') return undefined;
	return `Basic ${Buffer.from(`${decode(username)}:${decode(password)}`).toString('base64')}`;
}

function decode(part: string): string {
	try {
		return decodeURIComponent(part);
	} catch {
		return part;
	}
}

function refused(from: URL, where: string): BuildError {
	return new BuildError('HTTP_FAILED', `${from.host} redirects to ${where}; refused`, {
		hint: 'Give the URL that it should have led to, or ask who runs the server to correct the redirect.',
	});
}

function notHttp(problem: string): BuildError {
	return new BuildError('HTTP_FAILED', problem, { hint: 'Write it as https://host/path.' });
}
