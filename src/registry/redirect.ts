import { BuildError } from '../errors.js';
import { namedBy, resolveHop } from './hosts.js';
import { discard, type HttpRequest, type HttpResponse, type Middleware } from './transport.js';

const MAX_REDIRECTS = 10;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Follows at most ten redirects. Authorization is dropped for good once scheme, host or port change (CVE-2020-15157); hops that
 * `resolveHop` refuses fail with REGISTRY_REFUSED. Requests with a body are repeated for 307 and 308 only.
 */
export const followRedirects: Middleware = (next) => async (request, signal) => {
	let hop = request;
	for (let count = 0; count <= MAX_REDIRECTS; count += 1) {
		const response = await next(hop, signal);
		const location = redirectOf(hop, response);
		if (location === undefined) return response;
		discard(response);
		hop = redirected(hop, resolveHop(hop.url, location));
	}
	throw new BuildError('REGISTRY_REFUSED', `${request.url.host} redirected more than ${MAX_REDIRECTS} times`, {
		hint: 'The registry or a proxy redirects in a circle; ask who runs it.',
	});
};

function redirectOf(request: HttpRequest, response: HttpResponse): string | undefined {
	if (request.redirect === 'never' || !REDIRECTS.has(response.status)) return undefined;
	const safe = request.method === 'GET' || request.method === 'HEAD';
	return safe || response.status === 307 || response.status === 308 ? response.headers['location'] : undefined;
}

function redirected(request: HttpRequest, url: URL): HttpRequest {
	if (url.origin === request.url.origin) return { ...request, url };
	const kept = Object.entries(request.headers ?? {}).filter(([name]) => !/^(?:authorization|cookie)$/i.test(name));
	return {
		method: request.method,
		url,
		headers: Object.fromEntries(kept),
		...(request.namedBy === undefined ? {} : { namedBy: request.namedBy }),
		...namedBy(request.url, url),
		...(request.body === undefined ? {} : { body: request.body }),
		...(request.awaited === undefined ? {} : { awaited: request.awaited }),
	};
}
