import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { type AddressInfo, type LookupFunction } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { verifyStream } from '../../../src/content/verify.js';
import { openHttp } from '../../../src/http/http.js';
import { judgeAddresses, type NamedBy } from '../../../src/http/lookup.js';
import { digestOf } from '../../../src/oci/digest.js';
import { openRegistries } from '../../../src/registry/registries.js';
import type { Repository } from '../../../src/registry/repository.js';
import { type Faults, type TestRegistry } from '../../support/registry.js';
import { put, seed, signal, start, stored, user } from '../../support/registry-client.js';

/** What names resolve to here. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
	'reg.test': ['127.0.0.1'],
	'rebind.test': ['127.0.0.1'],
	'both.test': ['127.0.0.1', '8.8.8.8'],
	'meta.test': ['169.254.169.254'],
	'inner.test': ['10.1.2.3'],
	'inner-storage.test': ['192.168.1.1', 'fd12::1'],
	'public.test': ['8.8.8.8'],
	'nat64.test': ['64:ff9b::a9fe:a9fe'],
};
const lookup: LookupFunction = (hostname, _options, callback) => {
	const addresses = (NAMES[hostname] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
	if (addresses.length > 0) callback(null, addresses);
	else (callback as (error: Error) => void)(Object.assign(new Error(`no ${hostname}`), { code: 'ENOTFOUND' }));
};
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
	for (const close of closing.splice(0)) await close();
});

/** `registry` under the name that a user gave it. */
function named(registry: TestRegistry, name = 'reg.test'): Repository {
	const host = registry.host.replace('127.0.0.1', name);
	const options = { env: {}, insecureRegistries: [host], caBundle: undefined, userAgent: 's2oci/test', lookup };
	const registries = openRegistries({ ...options, sleep: () => Promise.resolve() });
	closing.push(() => registries.close());
	return registries.open({ registry: host, path: 'team/app' });
}

async function read(repository: Repository, bytes: Uint8Array): Promise<Uint8Array> {
	const blob = { mediaType: 'x/y', digest: digestOf(bytes), size: bytes.length };
	return Buffer.concat(await verifyStream(await repository.open(blob, signal), blob, 'the blob').toArray());
}

const bad = ['rebind.test', 'meta.test', 'inner.test', 'nat64.test'];

describe('a registry that the user named, and that is on this machine by its name,', () => {
	test('is used, and leads to other ports of its own host', async () => {
		const bytes = randomBytes(1000);
		const storage = await start();
		seed(storage, bytes);
		const port = storage.host.split(':')[1] ?? '';
		const registry = await start({
			location: 'relative',
			redirectTo: `http://reg.test:${port}/v2/team/app/blobs/${digestOf(bytes)}`,
		});
		seed(registry, bytes);
		const repository = named(registry);
		expect(digestOf(await read(repository, bytes))).toBe(digestOf(bytes));
		await put(repository, Buffer.from('other'));
		expect(stored(registry, Buffer.from('other')).length).toBe(5);
	});

	test.each(bad)('does not lead to %s', async (host) => {
		const bytes = randomBytes(1000);
		const target = await start();
		seed(target, bytes);
		const port = target.host.split(':')[1] ?? '';
		const leading: readonly Faults[] = [
			{ redirectTo: `http://${host}:${port}/v2/team/app/blobs/${digestOf(bytes)}` },
			{ location: `http://${host}:${port}/v2/team/app/blobs/uploads/x` },
			{ realm: `http://${host}:${port}/token`, bearer: user },
		];
		for (const faults of leading) {
			const registry = await start(faults);
			seed(registry, bytes);
			const repository = named(registry);
			const failure = faults.location === undefined ? read(repository, bytes) : put(repository, bytes);
			await expect(failure).rejects.toMatchObject({
				code: 'REGISTRY_REFUSED',
				message: expect.stringContaining(host) as string,
			});
		}
		expect(target.requests).toEqual([]);
	});
});

describe('a web server', () => {
	async function serve(location?: string): Promise<string> {
		const server = createServer((_request, response) => {
			response.writeHead(location === undefined ? 200 : 302, location === undefined ? {} : { location });
			response.end('content');
		});
		await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
		closing.push(() => new Promise((resolve) => server.close(() => resolve())));
		return String((server.address() as AddressInfo).port);
	}

	async function get(url: string, namedBy?: 'image'): Promise<string> {
		const http = openHttp({ env: {}, caBundle: undefined, userAgent: 's2oci/test', lookup });
		closing.push(() => http.close());
		const { body } = await http.get(url, { maxBytes: 100, ...(namedBy === undefined ? {} : { namedBy }) }, signal);
		return Buffer.concat(await body.toArray()).toString();
	}

	test.each(bad)('does not lead to %s', async (host) => {
		const port = await serve(`http://${host}:${await serve()}/`);
		await expect(get(`http://reg.test:${port}/`)).rejects.toMatchObject({ code: 'HTTP_FAILED' });
	});

	test('leads to its own host, and from one address of this machine to another', async () => {
		const end = await serve();
		expect(await get(`http://reg.test:${await serve(`http://reg.test:${end}/`)}/`)).toBe('content');
		expect(await get(`http://127.0.0.1:${await serve(`http://127.0.0.1:${end}/`)}/`)).toBe('content');
	});

	test('that a label names is not at an address for this machine only, wherever DNS says that it is', async () => {
		await expect(get(`http://meta.test:${await serve()}/`, 'image')).rejects.toMatchObject({ code: 'HTTP_FAILED' });
		expect(await get(`http://reg.test:${await serve()}/`, 'image')).toBe('content');
	});
});

describe('who may be where', () => {
	/** The addresses that a connection to `url` gets, or the code of what it is refused with. */
	async function addresses(url: string, namedBy: NamedBy, before: readonly string[] = []): Promise<unknown> {
		const judge = judgeAddresses('REGISTRY_REFUSED', lookup);
		const ask = (to: URL, by: NamedBy) =>
			new Promise((resolve, reject) => {
				judge.lookupFor(to, by).lookup(to.hostname, { all: true }, (error, found) => {
					if (error === null && typeof found !== 'string') resolve(found.map(({ address }) => address));
					else reject(error ?? new Error('no list'));
				});
			});
		for (const host of before) await ask(new URL(`https://${host}/`), 'user');
		return ask(new URL(url), namedBy).catch((error: unknown) => (error as { code: string }).code);
	}

	test.each([
		['public.test', 'user', [], ['8.8.8.8']],
		['meta.test', 'user', [], ['169.254.169.254']],
		['meta.test', 'image', [], 'REGISTRY_REFUSED'],
		['inner.test', 'image', [], ['10.1.2.3']],
		['both.test', new URL('https://public.test/'), ['public.test'], ['8.8.8.8']],
		['inner.test', new URL('https://public.test/'), ['public.test'], 'REGISTRY_REFUSED'],
		['inner.test', new URL('https://never-seen.test/'), [], 'REGISTRY_REFUSED'],
		['inner.test', new URL('https://reg.test/'), ['reg.test'], 'REGISTRY_REFUSED'],
		['inner-storage.test', new URL('https://inner.test/'), ['inner.test'], ['192.168.1.1', 'fd12::1']],
		['inner-storage.test', new URL('https://10.0.0.1/'), [], ['192.168.1.1', 'fd12::1']],
		['rebind.test', new URL('https://inner.test/'), ['inner.test'], 'REGISTRY_REFUSED'],
		['meta.test', new URL('https://inner.test/'), ['inner.test'], 'REGISTRY_REFUSED'],
		['nowhere.test', new URL('https://public.test/'), [], 'ENOTFOUND'],
	] as const)('%s, which %s names, where %j was asked before: %j', async (host, namedBy, before, expected) => {
		expect(await addresses(`https://${host}/`, namedBy, before)).toEqual(expected);
	});

	test.each([
		['http://10.0.0.1/', new URL('https://reg.example/')],
		['http://192.168.0.1/', new URL('http://127.0.0.1/')],
		['http://[fd12::1]/', new URL('https://8.8.8.8/')],
		['http://169.254.169.254/', 'image'],
	] as const)('%s, which %s names, is refused before anything is sent', (url, namedBy) => {
		expect(() => judgeAddresses('REGISTRY_REFUSED', lookup).lookupFor(new URL(url), namedBy)).toThrow(
			expect.objectContaining({ code: 'REGISTRY_REFUSED' }) as Error,
		);
	});
});
