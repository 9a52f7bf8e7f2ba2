import { answerBlob, answerManifest, answerStorage, answerTags, answerUpload, errorBody } from './registry-content.js';
import type { Call, Faults, Reply, SeenRequest, State, TestRegistry } from './registry-state.js';
import { answerToken, basicOf } from './registry-token.js';

export type { Faults, TestRegistry } from './registry-state.js';

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

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
				const { authorization, accept, 'content-range': contentRange } = request.headers;
				state.requests.push({
					server: name,
					method: request.method ?? '',
					path: request.url ?? '',
					...(authorization === undefined ? {} : { authorization }),
					...(contentRange === undefined ? {} : { contentRange }),
					...(accept === undefined ? {} : { accept }),
					...(name === 'token' ? { body: body.toString() } : {}),
				});
				if (state.faults.slow !== undefined) await new Promise((resolve) => setTimeout(resolve, state.faults.slow));
				const warnings = name === 'storage' ? state.faults.storageWarning : state.faults.warnings;
				if (warnings !== undefined && name !== 'token') response.setHeader('warning', warnings);
				const reply = replyTo(request, response, state.faults);
				handle({ request, response, url, body, reply });
			},
			() => undefined,
		);
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

function replyTo(request: IncomingMessage, response: ServerResponse, { gzip, drip }: Faults): Reply {
	return (status, headers = {}, content) => {
		const plain = Buffer.from(content ?? '');
		const { bytes, ...encoding } = encoded(plain, gzip);
		const length = gzip === 'real' ? undefined : headers['content-length'];
		response.writeHead(status, { ...headers, ...encoding, 'content-length': length ?? String(bytes.length) });
		if (request.method === 'HEAD') response.end();
		else if (drip !== undefined && request.method === 'GET' && status < 300) dripInto(response, bytes, drip);
		else response.end(bytes);
	};
}

function encoded(bytes: Buffer, gzip: Faults['gzip']): { bytes: Buffer; 'content-encoding'?: 'gzip' } {
	if (gzip === undefined || bytes.length === 0) return { bytes };
	return { bytes: gzip === 'real' ? gzipSync(bytes) : bytes, 'content-encoding': 'gzip' };
}

function dripInto(response: ServerResponse, bytes: Uint8Array, { after, ms }: NonNullable<Faults['drip']>): void {
	let sent = after;
	response.write(bytes.subarray(0, after));
	const timer = setInterval(() => {
		if (response.destroyed || sent >= bytes.length) clearInterval(timer);
		else response.write(bytes.subarray(sent, ++sent));
	}, ms);
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
	const match = /^\/v2\/(.+)\/(blobs\/uploads|blobs|manifests|tags)\/(.*)$/.exec(call.url.pathname);
	const [, repository = '', kind, reference = ''] = match ?? [];
	if (kind === 'manifests') answerManifest(state, call, repository, reference);
	else if (kind === 'blobs') answerBlob(state, call, repository, reference);
	else if (kind === 'tags') answerTags(state, call, repository);
	else if (kind === 'blobs/uploads') answerUpload(state, call, repository, reference);
	else call.reply(call.url.pathname === '/v2/' ? 200 : 404);
}

function fails({ faults: { failures } }: State, { url, request, reply }: Call): boolean {
	if (failures === undefined || failures.count <= 0) return false;
	if (failures.path !== undefined && !failures.path.test(url.pathname)) return false;
	if (failures.method !== undefined && failures.method !== request.method) return false;
	if ((failures.spared ?? 0) > 0) {
		failures.spared = (failures.spared ?? 0) - 1;
		return false;
	}
	failures.count -= 1;
	reply(failures.status, failures.retryAfter === undefined ? {} : { 'retry-after': failures.retryAfter });
	return true;
}

function isAuthorized({ faults, tokens }: State, { request }: Call): boolean {
	const { authorization = '' } = request.headers;
	if (faults.basic !== undefined && authorization === basicOf(faults.basic)) return true;
	if (faults.bearer === undefined) return faults.basic === undefined;
	const token = authorization.replace(/^Bearer /, '');
	const uses = tokens.get(token);
	if (uses === undefined || uses >= (faults.tokenUses ?? Number.POSITIVE_INFINITY)) return false;
	tokens.set(token, uses + 1);
	return true;
}

function challenge({ faults, tokenHost }: State, { url, reply }: Call): void {
	const repository = /^\/v2\/(.+)\/(?:blobs|manifests|tags)\//.exec(url.pathname)?.[1];
	const demanded = faults.scope ?? (repository === undefined ? undefined : `repository:${repository}:pull`);
	const scope = demanded === undefined ? '' : `,scope="${demanded}"`;
	const service = faults.noService === true ? '' : ',service="test registry"';
	const realm = faults.realm ?? `http://${tokenHost}/token`;
	const basic = faults.basic === undefined ? [] : ['Basic realm="test"'];
	const bearer = faults.bearer === undefined ? [] : [`Bearer realm="${realm}"${service}${scope}`];
	const header = (faults.basicFirst === true ? [...basic, ...bearer] : [...bearer, ...basic]).join(', ');
	const silent = faults.silentChallenge === true && url.pathname !== '/v2/';
	reply(401, silent ? {} : { 'www-authenticate': header }, errorBody('UNAUTHORIZED', 'authentication required'));
}
