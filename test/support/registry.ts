import { answerBlob, answerManifest, answerStorage, answerUpload, errorBody } from './registry-content.js';
import type { Call, Faults, Reply, SeenRequest, State, TestRegistry } from './registry-state.js';

export type { Faults, TestRegistry } from './registry-state.js';

import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An OCI registry in this process, with a token server and a storage server on ports of their own. */
export async function startRegistry(faults: Faults = {}): Promise<TestRegistry> {
	const state: State = {
		faults,
		host: '',
		tokenHost: '',
		storageHost: '',
		blobs: new Map(),
		manifests: new Map(),
		requests: [],
		uploads: new Map(),
		tokens: new Map(),
	};
	const registry = await listen(state, 'registry', (call) => answer(state, call));
	const token = await listen(state, 'token', (call) => answerToken(state, call));
	const storage = await listen(state, 'storage', (call) => answerStorage(state, call));
	state.host = registry.host;
	state.tokenHost = token.host;
	state.storageHost = storage.host;
	return {
		host: state.host,
		blobs: state.blobs,
		manifests: state.manifests,
		requests: state.requests,
		close: async () => {
			await Promise.all([registry, token, storage].map(({ server }) => stop(server)));
		},
	};
}

function stop(server: Server): Promise<void> {
	server.closeAllConnections();
	return new Promise((resolve) => server.close(() => resolve()));
}

async function listen(
	state: State,
	name: SeenRequest['server'],
	handle: (call: Call) => void,
): Promise<{ host: string; server: Server }> {
	const server = createServer((request, response) => {
		void receive(request).then(
			async (body) => {
				const url = new URL(request.url ?? '/', 'http://test');
				const { authorization, 'content-range': contentRange } = request.headers;
				state.requests.push({
					server: name,
					method: request.method ?? '',
					path: request.url ?? '',
					...(authorization === undefined ? {} : { authorization }),
					...(contentRange === undefined ? {} : { contentRange }),
					...(name === 'token' ? { body: body.toString() } : {}),
				});
				if (state.faults.slow !== undefined) await new Promise((resolve) => setTimeout(resolve, state.faults.slow));
				const reply: Reply = (status, headers = {}, content) => {
					const bytes = Buffer.from(content ?? '');
					const length = headers['content-length'] ?? String(bytes.length);
					response.writeHead(status, { ...headers, 'content-length': length });
					response.end(request.method === 'HEAD' ? undefined : bytes);
				};
				handle({ request, response, url, body, reply });
			},
			() => undefined,
		);
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

async function receive(request: IncomingMessage): Promise<Buffer> {
	const chunks: Buffer[] = [];
	for await (const chunk of request) chunks.push(chunk as Buffer);
	return Buffer.concat(chunks);
}

function answer(state: State, call: Call): void {
	if (fails(state, call)) return;
	if (!isAuthorized(state, call)) {
		challenge(state, call);
		return;
	}
	const match = /^\/v2\/(.+)\/(blobs\/uploads|blobs|manifests)\/(.*)$/.exec(call.url.pathname);
	const [, repository = '', kind, reference = ''] = match ?? [];
	if (kind === 'manifests') answerManifest(state, call, repository, reference);
	else if (kind === 'blobs') answerBlob(state, call, repository, reference);
	else if (kind === 'blobs/uploads') answerUpload(state, call, repository, reference);
	else call.reply(call.url.pathname === '/v2/' ? 200 : 404);
}

function fails({ faults: { failures } }: State, { url, reply }: Call): boolean {
	if (failures === undefined || failures.count <= 0) return false;
	if (failures.path !== undefined && !failures.path.test(url.pathname)) return false;
	failures.count -= 1;
	reply(failures.status, failures.retryAfter === undefined ? {} : { 'retry-after': failures.retryAfter });
	return true;
}

function isAuthorized({ faults, tokens }: State, { request }: Call): boolean {
	const { authorization = '' } = request.headers;
	if (faults.basic !== undefined) return authorization === basicOf(faults.basic);
	if (faults.bearer !== undefined) return tokens.has(authorization.replace(/^Bearer /, ''));
	return true;
}

function challenge({ faults, tokenHost }: State, { url, reply }: Call): void {
	const repository = /^\/v2\/(.+)\/(?:blobs|manifests)\//.exec(url.pathname)?.[1];
	const scope = repository === undefined ? '' : `,scope="repository:${repository}:pull"`;
	const realm = faults.realm ?? `http://${tokenHost}/token`;
	const header = faults.basic ? 'Basic realm="test"' : `Bearer realm="${realm}",service="test registry"${scope}`;
	const silent = faults.silentChallenge === true && url.pathname !== '/v2/';
	reply(401, silent ? {} : { 'www-authenticate': header }, errorBody('UNAUTHORIZED', 'authentication required'));
}

function answerToken({ faults, tokens }: State, { request, url, body, reply }: Call): void {
	const { bearer, identityToken, tokenAnswer = { field: 'token' } } = faults;
	const refreshed = new URLSearchParams(body.toString()).get('refresh_token');
	const known = bearer !== undefined && request.headers.authorization === basicOf(bearer);
	const refreshedWell = request.method === 'POST' && identityToken !== undefined && refreshed === identityToken;
	const anonymous = bearer?.anonymous === true && request.headers.authorization === undefined;
	if (!known && !refreshedWell && !anonymous) {
		reply(401, {}, '{"details":"incorrect username or password"}');
		return;
	}
	const token = randomUUID();
	tokens.set(token, url.search);
	const expires = tokenAnswer.expiresIn === undefined ? {} : { expires_in: tokenAnswer.expiresIn };
	reply(200, { 'content-type': 'application/json' }, JSON.stringify({ [tokenAnswer.field]: token, ...expires }));
}

function basicOf({ username, password }: { readonly username: string; readonly password: string }): string {
	return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
