import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer } from 'node:https';
import { type AddressInfo, connect as connectSocket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readBytes } from '../../../src/content/verify.js';
import { openRegistries, type RegistryOptions } from '../../../src/registry/registries.js';
import type { Repository } from '../../../src/registry/repository.js';
import { descriptorOf } from '../../support/images.js';
import { needs } from '../../support/needs.js';

const signal = AbortSignal.timeout(30_000);
const bytes = Buffer.from('the blob');
const blob = descriptorOf(bytes);
const outside = Object.values(networkInterfaces())
	.flat()
	.find((address) => address?.family === 'IPv4' && !address.internal)?.address;
const closing: (() => Promise<unknown>)[] = [];
let root: string;

beforeAll(async () => {
	root = await mkdtemp(join(tmpdir(), 's2oci-tls-'));
	const names = `subjectAltName=IP:127.0.0.1${outside === undefined ? '' : `,IP:${outside}`}`;
	const subject = ['-subj', '/CN=test', '-addext', names, '-days', '2'];
	const files = ['-keyout', join(root, 'key.pem'), '-out', join(root, 'cert.pem')];
	const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
	execFileSync('openssl', ['req', '-x509', ...key, ...subject, ...files], { stdio: 'ignore' });
});

afterEach(async () => {
	for (const close of closing.splice(0)) await close();
});

afterAll(() => rm(root, { recursive: true, force: true }));

const serveBlob: RequestListener = (request, response) => {
	response.end(request.url?.includes('/blobs/') ? bytes : '{}');
};

async function listen(server: Server, address = '127.0.0.1'): Promise<string> {
	await new Promise<void>((resolve) => server.listen(0, address, resolve));
	closing.push(() => {
		server.closeAllConnections();
		return new Promise((resolve) => server.close(resolve));
	});
	return `${address}:${(server.address() as AddressInfo).port}`;
}

function tlsServer(listener: RequestListener): Server {
	return createServer(
		{ key: readFileSync(join(root, 'key.pem')), cert: readFileSync(join(root, 'cert.pem')) },
		listener,
	);
}

function repositoryOf(host: string, options: Partial<RegistryOptions> = {}): Repository {
	const sleep = (): Promise<void> => Promise.resolve();
	const given = { env: {}, insecureRegistries: [], caBundle: undefined, userAgent: 's2oci/test', sleep, ...options };
	const registries = openRegistries(given);
	closing.push(() => registries.close());
	return registries.open({ registry: host, path: 'team/app' });
}

async function pull(repository: Repository): Promise<string> {
	return Buffer.from(await readBytes(await repository.open(blob, signal), 100, 'the blob')).toString();
}

test('HTTP/1.1 is spoken to a registry that offers HTTP/2 as well', async () => {
	const versions: string[] = [];
	const keys = { key: readFileSync(join(root, 'key.pem')), cert: readFileSync(join(root, 'cert.pem')) };
	const server = createSecureServer({ ...keys, allowHTTP1: true }, ({ httpVersion, url }, response) => {
		versions.push(httpVersion);
		response.end(url.includes('/blobs/') ? bytes : '{}');
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	closing.push(() => new Promise((resolve) => server.close(resolve)));
	const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
	const repository = repositoryOf(host, { insecureRegistries: [host] });
	expect(await pull(repository)).toBe('the blob');
	expect(new Set(versions)).toEqual(new Set(['1.1']));
});

describe('an insecure registry', () => {
	test('is spoken to over https without a verified certificate, else over http', async () => {
		const tls = await listen(tlsServer(serveBlob));
		expect(await pull(repositoryOf(tls, { insecureRegistries: [tls] }))).toBe('the blob');
		const plain = await listen(createHttpServer(serveBlob));
		expect(await pull(repositoryOf(plain, { insecureRegistries: [plain] }))).toBe('the blob');
	});

	test('does not make other hosts insecure that it redirects to (CVE-2019-10214)', async () => {
		const storage = await listen(tlsServer(serveBlob));
		const redirecting = tlsServer((request, response) => {
			response.writeHead(307, { location: `https://${storage}${request.url ?? ''}` }).end();
		});
		const host = await listen(redirecting);
		await expect(pull(repositoryOf(host, { insecureRegistries: [host] }))).rejects.toMatchObject({
			code: 'REGISTRY_UNREACHABLE',
			message: expect.stringContaining(storage) as string,
			hint: expect.stringContaining('--ca-bundle') as string,
		});
	});
});

describe('over the network interface', () => {
	beforeEach((context) => needs(context, outside !== undefined, 'there is no network interface but loopback'));

	test('a certificate of an unknown authority is refused, one of the CA bundle is accepted', async () => {
		const host = await listen(tlsServer(serveBlob), outside);
		await expect(pull(repositoryOf(host))).rejects.toMatchObject({
			code: 'REGISTRY_UNREACHABLE',
			hint: expect.stringContaining('--ca-bundle') as string,
		});
		expect(await pull(repositoryOf(host, { caBundle: join(root, 'cert.pem') }))).toBe('the blob');
	});

	test('HTTPS_PROXY is used, but neither for NO_PROXY nor for loopback', async () => {
		const tunnels: string[] = [];
		const proxy = createHttpServer();
		proxy.on('connect', (request, socket) => {
			tunnels.push(request.url ?? '');
			const [host = '', port] = (request.url ?? '').split(':');
			const upstream = connectSocket(Number(port), host, () => {
				socket.write('HTTP/1.1 200 OK\r\n\r\n');
				upstream.pipe(socket).pipe(upstream);
			});
			upstream.on('error', () => socket.destroy());
			socket.on('error', () => upstream.destroy());
		});
		const proxyHost = await listen(proxy);
		const host = await listen(tlsServer(serveBlob), outside);
		const caBundle = join(root, 'cert.pem');
		const env = { HTTPS_PROXY: `http://${proxyHost}`, HTTP_PROXY: `http://${proxyHost}` };
		expect(await pull(repositoryOf(host, { caBundle, env }))).toBe('the blob');
		expect(tunnels).toEqual([host]);
		expect(await pull(repositoryOf(host, { caBundle, env: { ...env, NO_PROXY: outside } }))).toBe('the blob');
		const local = await listen(createHttpServer(serveBlob));
		expect(await pull(repositoryOf(local, { env }))).toBe('the blob');
		expect(tunnels).toEqual([host]);
	});
});
