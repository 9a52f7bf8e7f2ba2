import { BuildError } from '../errors.js';
import { isLocalAddress, isLoopback } from '../http/address.js';
import { redactUrl } from '../redact.js';

const HUB_API = 'registry-1.docker.io';

/** The host that speaks the registry API for `registry`: Docker Hub's differs from its name. */
export function apiHost(registry: string): string {
	return registry === 'docker.io' ? HUB_API : registry;
}

/** A predicate for URLs whose host and port are among `registries` (`host` or `host:port`, exactly). */
export function matchHosts(registries: readonly string[]): (url: URL) => boolean {
	const hosts = new Set(
		registries.flatMap((registry) =>
			['http:', 'https:'].flatMap((protocol) => {
				const text = `${protocol}//${apiHost(registry)}`;
				return URL.canParse(text) ? [`${protocol}//${new URL(text).host}`] : [];
			}),
		),
	);
	return (url) => hosts.has(`${url.protocol}//${url.host}`);
}

/**
 * Where `location`, a Location header or token realm sent by `from`, leads. Throws REGISTRY_REFUSED for what a hostile registry
 * would want: from https down to http, other schemes, and addresses of this machine or of cloud metadata (oras CVE-2026-50151).
 * The wrong scheme for the same host, as misconfigured proxies send it, becomes that of `from`; a host without a scheme is a host.
 */
export function resolveHop(from: URL, location: string): URL {
	const text = location.startsWith(`${from.host}/`) ? `//${location}` : location;
	if (!URL.canParse(text, from.href)) throw refused(from, 'an address that is not a URL');
	const to = new URL(text, from);
	to.username = '';
	to.password = '';
	to.hash = '';
	if (isSameServer(from, to)) {
		to.protocol = from.protocol;
		to.port = from.port;
	}
	if (to.origin === from.origin) return to;
	if (from.protocol === 'https:' && to.protocol === 'http:')
		throw refused(from, `${redactUrl(to)}, which is not encrypted`);
	if (to.protocol !== 'https:' && to.protocol !== 'http:')
		throw refused(from, `an address with the scheme ${to.protocol}`);
	const inside = isLoopback(to) && !isLoopback(from);
	if (inside || isLocalAddress(to))
		throw refused(from, `${redactUrl(to)}, an address that only this machine should use`);
	return to;
}

/** Who named the host of `to`, which `from` sent, as a request says it: nobody new when it is the host that was asked, on any port. */
export function namedBy(from: URL, to: URL): { readonly namedBy?: URL } {
	return to.hostname === from.hostname ? {} : { namedBy: from };
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

function refused(from: URL, where: string): BuildError {
	return new BuildError('REGISTRY_REFUSED', `${from.host} redirects to ${where}; refused`, {
		hint: 'Ask who runs the registry to correct its external URL (http.host, X-Forwarded-Proto).',
	});
}
