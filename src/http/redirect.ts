import { BuildError } from '../errors.js';
import { redactUrl } from '../redact.js';
import { isLocalAddress, isLoopback } from './address.js';
import { discard, type HttpRequest, type HttpResponse, type Send } from './client.js';
import type { Policy } from './policy.js';

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Where a response of `status` leads; undefined when it is no redirect. */
export function locationOf({ status, headers }: HttpResponse): string | undefined {
	return REDIRECTS.has(status) ? headers['location'] : undefined;
}

/**
 * `send`, and after it as many redirects as `policy` allows, then its `refused`. Requests with a body are repeated for 307 and 308 only; those
 * that are never to be redirected are answered with the redirect itself. The rule for each hop is {@link redirected}.
 */
export function followRedirects<R extends HttpRequest>(send: Send<R | HttpRequest>, policy: Policy): Send<R> {
	return async (request, signal) => {
		let hop: R | HttpRequest = request;
		for (let count = 0; count <= policy.maxRedirects; count += 1) {
			const response = await send(hop, signal);
			const location = isFollowed(hop, response) ? locationOf(response) : undefined;
			if (location === undefined) return response;
			discard(response);
			hop = redirected(hop, location, policy);
		}
		throw new BuildError(policy.refused, `${request.url.host} redirects more than ${policy.maxRedirects} times`, {
			hint: policy.hints.circle,
		});
	};
}

function isFollowed({ method, redirect }: HttpRequest, { status }: HttpResponse): boolean {
	if (redirect === 'never') return false;
	return method === 'GET' || method === 'HEAD' || status === 307 || status === 308;
}

/**
 * `request` to where `location`, which its server sent, leads by {@link resolveLocation}. Authorization, and all else that is for the server,
 * is gone for good once scheme, host or port change (CVE-2020-15157).
 */
export function redirected<R extends HttpRequest>(request: R, location: string, policy: Policy): R | HttpRequest {
	const url = resolveLocation(request.url, location, policy);
	if (url.origin === request.url.origin) return { ...request, url };
	const { method, headers = {}, body, awaited, mayBeGzip } = request;
	const kept = Object.entries(headers).filter(([name]) => !/^(?:authorization|cookie)$/i.test(name));
	const namedBy = namerOf(request.url, url) ?? request.namedBy;
	return { method, url, headers: Object.fromEntries(kept), namedBy, body, awaited, mayBeGzip };
}

/**
 * Where `location`, which `from` sent in a Location header or as a token realm, leads, without user info and fragment. Throws the `refused`
 * of `policy` for what a hostile server would want: from https down to http, other schemes, and addresses of this machine or of cloud
 * metadata (oras CVE-2026-50151).
 */
export function resolveLocation(from: URL, location: string, policy: Policy): URL {
	const refused = (where: string): BuildError =>
		new BuildError(policy.refused, `${from.host} redirects to ${where}; refused`, { hint: policy.hints.redirect });
	const text = policy.repairs && location.startsWith(`${from.host}/`) ? `//${location}` : location;
	if (!URL.canParse(text, from.href)) throw refused('an address that is not a URL');
	const to = bare(new URL(text, from));
	if (policy.repairs && isSameServer(from, to)) {
		to.protocol = from.protocol;
		to.port = from.port;
	}
	const where = to.origin === from.origin ? undefined : refusalOf(from, to);
	if (where !== undefined) throw refused(where);
	return to;
}

/** Who named the host of `to`, which `from` sent: nobody new when it is the host that was asked, on any port. */
export function namerOf(from: URL, to: URL): URL | undefined {
	return to.hostname === from.hostname ? undefined : from;
}

/** `url` itself, without user info and fragment. */
export function bare(url: URL): URL {
	url.username = '';
	url.password = '';
	url.hash = '';
	return url;
}

/** Why `from` must not lead to `to`, another origin; undefined where it may. */
function refusalOf(from: URL, to: URL): string | undefined {
	if (to.protocol !== 'https:' && to.protocol !== 'http:') return `an address with the scheme ${to.protocol}`;
	if (from.protocol === 'https:' && to.protocol === 'http:') return `${redactUrl(to)}, which is not encrypted`;
	const isInside = (isLoopback(to) && !isLoopback(from)) || isLocalAddress(to);
	return isInside ? `${redactUrl(to)}, an address that only this machine should use` : undefined;
}

/** Nothing but TLS is spoken where TLS was spoken, and nothing but plain HTTP where that was. */
function isSameServer(from: URL, to: URL): boolean {
	if (to.hostname !== from.hostname || to.protocol === from.protocol) return false;
	if (to.protocol === 'https:') return from.protocol === 'http:' && portOf(to) === portOf(from);
	return to.protocol === 'http:' && (to.port === '' || portOf(to) === portOf(from));
}

function portOf({ port, protocol }: URL): string {
	return port === '' ? (protocol === 'https:' ? '443' : '80') : port;
}
