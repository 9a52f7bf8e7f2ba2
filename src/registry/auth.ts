import { BuildError, isBuildError } from '../errors.js';
import { basicAuthorization } from '../http/basic.js';
import { discard, type HttpResponse } from '../http/client.js';
import { formatRepository } from '../oci/reference.js';
import { type Challenge, parseChallenges } from './challenge.js';
import type { FoundCredentials } from './credentials.js';
import { type BearerToken, fetchToken, unauthorized } from './token.js';
import type { Access, Middleware, RegistryRequest, Transport } from './transport.js';

/** `find` looks credentials up when a registry asks for them, `forget` has the next look-up begin anew; `send` reaches token servers. */
export interface AuthOptions {
	readonly find: (access: Access, signal: AbortSignal) => Promise<FoundCredentials>;
	readonly forget?: (access: Access) => void;
	readonly send: Transport;
}

interface AuthState {
	readonly options: AuthOptions;
	/** How each origin wants to be authorized, once it said so; first what it took last. Never empty. */
	readonly challenges: Map<string, readonly Challenge[]>;
	readonly tokens: Map<string, Promise<BearerToken>>;
}

/** A request that needs an authorization. */
interface Asking {
	readonly request: RegistryRequest;
	readonly access: Access;
	readonly state: AuthState;
}

const BASIC: Challenge = { scheme: 'basic', params: new Map() };
const EXPIRY_MARGIN = 10_000;

/**
 * Answers 401 challenges, Bearer before Basic, for requests that carry `access`; where the token server refuses and the registry takes Basic
 * as well, the password goes to the registry itself. Tokens are kept per origin and scope; once an origin has asked, later requests
 * carry a token from the start, so that no upload is sent in vain. When no answer is taken, REGISTRY_UNAUTHORIZED.
 */
export function authorize(options: AuthOptions): Middleware {
	const state: AuthState = { options, challenges: new Map(), tokens: new Map() };
	return (next) => async (request, signal) => {
		const { access } = request;
		if (access === undefined) return next(request, signal);
		const asking: Asking = { request, access, state };
		const known = state.challenges.get(request.url.origin);
		const first = await next(await withKnown(asking, known?.[0], signal), signal);
		if (!isChallenged(request, first)) return first;
		discard(first);
		// What a credential helper gave may have a lifetime, too (Amazon ECR).
		if (known !== undefined) options.forget?.(access);
		const chosen = chooseChallenges(first);
		const challenges = chosen.length > 0 ? chosen : await ping(request.url, next, signal);
		state.challenges.set(request.url.origin, challenges);
		state.tokens.delete(cacheKey(request.url, access));
		return answerChallenges(asking, challenges, next, signal);
	};
}

/** A 401 of another host, after a redirect, must not be answered with this registry's credentials. */
function isChallenged(request: RegistryRequest, response: HttpResponse): boolean {
	return response.status === 401 && response.url.origin === request.url.origin;
}

async function answerChallenges(
	asking: Asking,
	challenges: readonly Challenge[],
	next: Transport,
	signal: AbortSignal,
): Promise<HttpResponse> {
	const { request, access, state } = asking;
	let why = 'the registry wants a user name and password';
	let refusal: BuildError | undefined;
	for (const challenge of challenges) {
		const answering = await withAuthorization(asking, challenge, signal).catch(tokenRefusal);
		if (isBuildError(answering)) refusal ??= answering;
		if (isBuildError(answering) || answering === request) continue;
		const response = await next(answering, signal);
		if (!isChallenged(request, response)) {
			const others = challenges.filter((each) => each !== challenge);
			state.challenges.set(request.url.origin, [challenge, ...others]);
			return response;
		}
		discard(response);
		why = 'the registry answered 401';
	}
	throw refusal ?? unauthorized(why, access, await state.options.find(access, signal));
}

/** With what the registry took before. A refused token may be the fault of what a credential helper gave an hour ago (Google, Azure). */
async function withKnown(asking: Asking, known: Challenge | undefined, signal: AbortSignal): Promise<RegistryRequest> {
	const { access, state } = asking;
	const { find, forget } = state.options;
	try {
		return await withAuthorization(asking, known, signal);
	} catch (error) {
		if (!isBuildError(error, 'REGISTRY_UNAUTHORIZED') || access.from !== undefined) throw error;
		const before = await find(access, signal);
		forget?.(access);
		if (JSON.stringify(await find(access, signal)) === JSON.stringify(before)) throw error;
		return withAuthorization(asking, known, signal);
	}
}

/** With what `challenge` asks for. Where that is a password and we have none, as it is: who does not ask for it each time may take it. */
async function withAuthorization(
	asking: Asking,
	challenge: Challenge | undefined,
	signal: AbortSignal,
): Promise<RegistryRequest> {
	const { request, access, state } = asking;
	if (challenge === undefined) return request;
	const authorization =
		challenge.scheme === 'bearer'
			? `Bearer ${(await tokenFor(asking, challenge, signal)).value}`
			: basicOf(await state.options.find(access, signal));
	return authorization === undefined ? request : { ...request, headers: { ...request.headers, authorization } };
}

function basicOf({ credentials }: FoundCredentials): string | undefined {
	return credentials?.type === 'basic' ? basicAuthorization(credentials) : undefined;
}

async function tokenFor(asking: Asking, challenge: Challenge, signal: AbortSignal): Promise<BearerToken> {
	const { request, access, state } = asking;
	const { url } = request;
	const key = cacheKey(url, access);
	const cached = await state.tokens.get(key);
	if (cached !== undefined && cached.expires - EXPIRY_MARGIN > Date.now()) return cached;
	const { find, send } = state.options;
	const fetched = find(access, signal).then((found) => fetchToken(challenge, access, found, url, send, signal));
	state.tokens.set(key, fetched);
	try {
		return await fetched;
	} catch (error) {
		state.tokens.delete(key);
		throw error;
	}
}

// The full repository name is part of the key: credentials may differ from one path to the next.
function cacheKey(url: URL, access: Access): string {
	const from = access.from === undefined ? '' : formatRepository(access.from);
	return [url.origin, formatRepository(access.repository), access.actions, from].join(' ');
}

// gcr.io can answer 401 without a challenge; its /v2/ has one.
async function ping(url: URL, next: Transport, signal: AbortSignal): Promise<readonly Challenge[]> {
	const response = await next({ method: 'GET', url: new URL('/v2/', url) }, signal);
	discard(response);
	const chosen = response.status === 401 ? chooseChallenges(response) : [];
	return chosen.length > 0 ? chosen : [BASIC];
}

/** What can be answered, what is most wanted first; none when nothing was asked. */
function chooseChallenges(response: HttpResponse): readonly Challenge[] {
	const header = response.headers['www-authenticate'];
	if (header === undefined) return [];
	const challenges = parseChallenges(header);
	const bearer = challenges.find(({ scheme, params }) => scheme === 'bearer' && params.has('realm'));
	const basic = challenges.find(({ scheme }) => scheme === 'basic');
	const chosen = [bearer, basic].filter((challenge) => challenge !== undefined);
	if (chosen.length > 0) return chosen;
	throw new BuildError('REGISTRY_REFUSED', `${response.url.host} wants an authorization that s2oci does not speak`, {
		hint: 'Registries use Bearer or Basic; check that no single sign-on proxy answers in place of the registry.',
	});
}

/** `error` when no token was to be had: the registry itself may take what the token server did not. Throws any other. */
function tokenRefusal(error: unknown): BuildError {
	if (isBuildError(error, 'REGISTRY_UNAUTHORIZED', 'REGISTRY_UNREACHABLE', 'REGISTRY_REFUSED')) return error;
	throw error;
}
