import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { openHttp } from '../../../src/http/http.js';
import { digestOf } from '../../../src/oci/digest.js';
import { OCI_MANIFEST } from '../../../src/oci/media-types.js';
import { testImage } from '../../support/images.js';
import { connect, pull, repositoryOf, retries, seed, signal, start } from '../../support/registry-client.js';

const ENV = { S2OCI_LOW_SPEED_LIMIT: '1000', S2OCI_LOW_SPEED_TIME: '1' };
const closing: (() => void)[] = [];

afterEach(() => {
	for (const close of closing.splice(0)) close();
});

describe('a registry that sends a byte now and then', () => {
	test('is given up after a second try, and the error names registry, blob and what to set', async () => {
		const registry = await start({ drip: { after: 10, ms: 20 } });
		const bytes = randomBytes(100_000);
		const { digest } = seed(registry, bytes);
		const began = Date.now();
		const repository = repositoryOf(registry, 'team/app', connect(ENV));
		await expect(pull(repository, bytes)).rejects.toMatchObject({
			code: 'REGISTRY_UNREACHABLE',
			message: `pulling ${digest} from ${registry.host}/team/app failed: ${registry.host} sent less than 1000 bytes a second for 1 s`,
			hint: expect.stringContaining('S2OCI_LOW_SPEED_LIMIT') as string,
		});
		expect(Date.now() - began).toBeLessThan(8000);
		expect(retries).toHaveLength(1);
	});

	test('is asked for the rest after a good beginning, as often as it goes on well', async () => {
		const registry = await start({ drip: { after: 200_000, ms: 20 } });
		const bytes = randomBytes(500_000);
		seed(registry, bytes);
		const pulled = await pull(repositoryOf(registry, 'team/app', connect(ENV)), bytes);
		expect(digestOf(pulled)).toBe(digestOf(bytes));
		expect(retries).toHaveLength(2);
	});

	test('is not waited for with a manifest either', async () => {
		const registry = await start({ drip: { after: 10, ms: 20 } });
		registry.manifests.set('team/app:v1', { mediaType: OCI_MANIFEST, bytes: testImage().image.manifest.bytes });
		const failure = repositoryOf(registry, 'team/app', connect(ENV)).manifest('v1', signal);
		await expect(failure).rejects.toMatchObject({
			code: 'REGISTRY_UNREACHABLE',
			message: expect.stringMatching(/team\/app:v1 failed: .* less than 1000 bytes a second/) as string,
		});
	});

	test.each([
		['0', '1'],
		['10', '1'],
	])('is waited for where %s bytes in %s s are enough', async (limit, time) => {
		const registry = await start({ drip: { after: 10, ms: 20 } });
		const bytes = randomBytes(120);
		seed(registry, bytes);
		const env = { S2OCI_LOW_SPEED_LIMIT: limit, S2OCI_LOW_SPEED_TIME: time };
		expect(digestOf(await pull(repositoryOf(registry, 'team/app', connect(env)), bytes))).toBe(digestOf(bytes));
	});
});

test('a reader that takes its time is not the fault of the server', async () => {
	const registry = await start();
	const bytes = randomBytes(3_000_000);
	const blob = seed(registry, bytes);
	const stream = await repositoryOf(registry, 'team/app', connect(ENV)).open(blob, signal);
	const chunks: Uint8Array[] = [];
	for await (const chunk of stream as AsyncIterable<Uint8Array>) {
		if (chunks.length % 20 === 0) await delay(1500);
		chunks.push(chunk);
		if (chunks.length === 40) break;
	}
	expect(chunks).toHaveLength(40);
	expect(retries).toEqual([]);
});

test('a web server that sends a byte now and then is given up, and the error says so', async () => {
	const server = createServer((_request, response) => {
		response.writeHead(200);
		const timer = setInterval(() => response.write('x'), 20);
		response.once('close', () => clearInterval(timer));
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	const http = openHttp({ env: ENV, caBundle: undefined, userAgent: 's2oci/test' });
	closing.push(
		() => server.close(),
		() => void http.close(),
	);
	const { port } = server.address() as AddressInfo;
	const { body } = await http.get(`http://127.0.0.1:${port}/app.tar`, { maxBytes: 1000 }, signal);
	await expect(body.toArray()).rejects.toMatchObject({
		code: 'HTTP_FAILED',
		message: `GET http://127.0.0.1:${port}/app.tar failed: 127.0.0.1:${port} sent less than 1000 bytes a second for 1 s`,
	});
});

test.each(['fast', '-1', '1.5'])('a rate of %s is refused', async (rate) => {
	const registry = await start();
	const failure = repositoryOf(registry, 'x', connect({ S2OCI_LOW_SPEED_LIMIT: rate })).manifest('v1', signal);
	await expect(failure).rejects.toMatchObject({
		code: 'USAGE',
		message: expect.stringContaining('S2OCI_LOW_SPEED_LIMIT') as string,
	});
});
