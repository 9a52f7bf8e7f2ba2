import { readBytes } from '../content/verify.js';
import { BuildError } from '../errors.js';
import { basicAuthorization } from '../http/basic.js';
import { bodyOf, discard, type HttpResponse } from '../http/client.js';
import { namerOf, resolveLocation } from '../http/redirect.js';
import { parseJson } from '../json.js';
import { formatRepository } from '../oci/reference.js';
import { redact, redactUrl } from '../redact.js';
import type { Challenge } from './challenge.js';
import type { Credentials } from './credential-helper.js';
import type { FoundCredentials } from './credentials.js';
import { type Access, ATTEMPTS, REGISTRY, type RegistryRequest, type Transport } from './transport.js';

/** A bearer token; `expires` is in milliseconds since 1970. */
export interface BearerToken {
	readonly value: string;
	readonly expires: number;
}

const MAX_TOKEN_BYTES = 256 * 1024;
const DEFAULT_LIFETIME = 60;
/** Of token servers that want a POST. */
const NO_GET: readonly number[] = [404, 405, 501];
/** `type(class):name:actions` (distribution "token scope documentation"). */
const SCOPE = /^[A-Za-z0-9_-]+(?:\([A-Za-z0-9_-]+\))?:[^\s]*[^\s:]:[A-Za-z0-9_*.-]+(?:,[A-Za-z0-9_*.-]+)*$/;

/**
 * A token for `access` from the realm of `challenge`, which `registry` sent (distribution token and OAuth2 protocols). Credentials go
 * to that realm only, which must not be less protected than the registry. Throws REGISTRY_UNAUTHORIZED when it is refused.
 */
export async function fetchToken(
	challenge: Challenge,
	access: Access,
	found: FoundCredentials,
	registry: URL,
	send: Transport,
	signal: AbortSignal,
): Promise<BearerToken> {
	const realm = resolveLocation(registry, challenge.params.get('realm') ?? '', REGISTRY);
	const asked = {
		realm,
		namedBy: namerOf(registry, realm),
		service: challenge.params.get('service') ?? '',
		scopes: scopesFor(access, challenge.params.get('scope')),
	};
	const response = await askFor(asked, found.credentials, send, signal);
	if (response.status !== 200) {
		discard(response);
		throw tokenRefused(response.status, realm, access, found);
	}
	return parseToken(response, realm);
}

/** What a token is asked for, and where. */
interface Asked {
	readonly realm: URL;
	readonly namedBy: URL | undefined;
	/** Empty where the challenge names none: it is left out then, as a name that we invent may be refused. */
	readonly service: string;
	readonly scopes: readonly string[];
}

/** By GET, or by POST where the credentials are a refresh token or the server takes nothing else (distribution "oauth2" protocol). */
async function askFor(
	asked: Asked,
	credentials: Credentials | undefined,
	send: Transport,
	signal: AbortSignal,
): Promise<HttpResponse> {
	if (credentials?.type === 'identity') {
		return send(postRequest(asked, { grant_type: 'refresh_token', refresh_token: credentials.token }), signal);
	}
	const response = await send(tokenRequest(asked, credentials), signal);
	if (credentials === undefined || !NO_GET.includes(response.status)) return response;
	const { username, password } = credentials;
	const posted = await send(postRequest(asked, { grant_type: 'password', username, password }), signal);
	if (posted.status !== 200) {
		discard(posted);
		return response;
	}
	discard(response);
	return posted;
}

/**
 * The scopes to ask for: what was just demanded first, because some token servers read one scope only (distribution-spec leaves the
 * token protocol open); actions on the same repository are merged. What is no `type:name:actions`, such as the `*` of Gitea, is
 * passed on as it came, last; what is half of one is left out.
 */
export function scopesFor(access: Access, demanded: string | undefined): readonly string[] {
	const own = [`repository:${access.repository.path}:${access.actions}`];
	if (access.from !== undefined) own.push(`repository:${access.from.path}:pull`);
	const words = demanded?.split(/\s+/).filter((word) => word !== '') ?? [];
	const resources = new Map<string, Set<string>>();
	for (const scope of [...words.filter((word) => SCOPE.test(word)), ...own]) {
		const colon = scope.lastIndexOf(':');
		const resource = scope.slice(0, colon);
		const actions = resources.get(resource) ?? new Set<string>();
		for (const action of scope.slice(colon + 1).split(',')) actions.add(action);
		resources.set(resource, actions);
	}
	const merged = [...resources].map(([resource, actions]) => `${resource}:${[...actions].sort().join(',')}`);
	return [...merged, ...new Set(words.filter((word) => !word.includes(':')))];
}

/** REGISTRY_UNAUTHORIZED for `access`; the hint says where credentials were looked for and whether any were sent. */
export function unauthorized(why: string, access: Access, found: FoundCredentials | undefined): BuildError {
	const name = formatRepository(access.repository);
	const doing = access.actions === 'pull' ? 'pulling from' : 'pushing to';
	const sent = found?.credentials === undefined ? 'No credentials were sent' : 'Credentials were sent and refused';
	return new BuildError('REGISTRY_UNAUTHORIZED', `${doing} ${name} needs authorization: ${why}`, {
		hint: `${sent}: ${found?.source ?? 'none were asked for'}. Log in to ${access.repository.registry}, and check the repository name.`,
	});
}

function tokenRequest(
	{ realm, service, scopes, namedBy }: Asked,
	credentials: Extract<Credentials, { type: 'basic' }> | undefined,
): RegistryRequest {
	const url = new URL(realm);
	if (service !== '') url.searchParams.set('service', service);
	for (const scope of scopes) url.searchParams.append('scope', scope);
	if (credentials === undefined) return { method: 'GET', url, namedBy };
	url.searchParams.set('account', credentials.username);
	return { method: 'GET', url, namedBy, headers: { authorization: basicAuthorization(credentials) } };
}

function postRequest(
	{ realm, service, scopes, namedBy }: Asked,
	grant: Readonly<Record<string, string>>,
): RegistryRequest {
	const named = service === '' ? {} : { service };
	const form = new URLSearchParams({ ...grant, ...named, scope: scopes.join(' '), client_id: 's2oci' });
	return {
		method: 'POST',
		url: realm,
		namedBy,
		headers: { 'content-type': 'application/x-www-form-urlencoded' },
		body: bodyOf(form.toString()),
		tries: ATTEMPTS,
		redirect: 'never',
	};
}

async function parseToken(response: HttpResponse, realm: URL): Promise<BearerToken> {
	const bytes = await readBytes(response.body, MAX_TOKEN_BYTES, `the token from ${redactUrl(realm)}`);
	const token = parseTokenBody(Buffer.from(bytes).toString('utf8'));
	if (token === undefined) {
		throw new BuildError('REGISTRY_REFUSED', `the token server ${redactUrl(realm)} answered without a token`, {
			hint: 'Check that the registry address is right and that no proxy answers in its place.',
		});
	}
	return { value: token.value, expires: Date.now() + token.lifetime * 1000 };
}

function parseTokenBody(text: string): { value: string; lifetime: number } | undefined {
	let body: unknown;
	try {
		body = parseJson(text);
	} catch {
		return undefined;
	}
	if (typeof body !== 'object' || body === null) return undefined;
	const { token, access_token, expires_in } = body as Record<string, unknown>;
	const value = [token, access_token].find(
		(candidate) => typeof candidate === 'string' && /^[\x21-\x7e]+$/.test(candidate),
	);
	if (typeof value !== 'string') return undefined;
	const lifetime = typeof expires_in === 'string' ? Number(expires_in) : expires_in;
	return { value, lifetime: typeof lifetime === 'number' && lifetime > 0 ? lifetime : DEFAULT_LIFETIME };
}

function tokenRefused(status: number, realm: URL, access: Access, found: FoundCredentials): BuildError {
	const why = `the token server ${redactUrl(realm)} answered ${status}`;
	if (status === 429) {
		return new BuildError('REGISTRY_LIMITED', `${formatRepository(access.repository)}: ${why}`, {
			hint: 'Wait, or log in: registries allow more requests to known users.',
		});
	}
	if (status < 500) return unauthorized(redact(why), access, found);
	return new BuildError('REGISTRY_UNREACHABLE', `${formatRepository(access.repository)}: ${why}`, {
		hint: 'The token server has a problem; try again later.',
	});
}
