import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request as httpRequest, type RequestListener } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listen, open, serve, text } from './server.js';

const signal = AbortSignal.timeout(60_000);
const root = mkdtempSync(join(tmpdir(), 's2oci-http-'));
const [certificate, key] = [join(root, 'cert.pem'), join(root, 'key.pem')];

beforeAll(() => {
	const names = 'subjectAltName=IP:127.0.0.1,DNS:scripts.example';
	const subject = ['-subj', '/CN=test', '-addext', names, '-days', '2'];
	const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
	execFileSync('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', key, '-out', certificate], {
		stdio: 'ignore',
	});
});

const tls = () => ({ key: readFileSync(key), cert: readFileSync(certificate) });

afterAll(() => rmSync(root, { recursive: true }));

const redirectTo =
	(location: string, status = 302): RequestListener =>
	(_request, response) => {
		response.writeHead(status, { location }).end();
	};

describe('get', () => {
	test('sends the credentials of the URL and gives body and address without them', async () => {
		const server = await serve((_request, response) => response.end('the script'));
		const { body, url } = await open().get(`http://ada:s%3Acret@${server.host}/a?b=1`, { maxBytes: 10 }, signal);
		expect((await buffer(body)).toString()).toBe('the script');
		expect(url).toBe(`http://${server.host}/a?b=1`);
		expect(server.requests).toEqual([
			{ line: 'GET /a?b=1', authorization: `Basic ${Buffer.from('ada:s:cret').toString('base64')}`, body: '' },
		]);
	});

	test('drops the credentials when a redirect leaves their origin, and keeps them within it', async () => {
		const other = await serve((_request, response) => response.end('other'));
		const server = await serve((request, response) =>
			redirectTo(request.url === '/a' ? '/b' : `http://ada:s3cret@${other.host}/c`)(request, response),
		);
		expect(await text(open(), `http://ada:s3cret@${server.host}/a`)).toBe('other');
		expect(server.requests.map((each) => each.authorization !== undefined)).toEqual([true, true]);
		expect(other.requests).toEqual([{ line: 'GET /c', authorization: undefined, body: '' }]);
	});

	test('follows five redirects and no more', async () => {
		const server = await serve((request, response) => {
			const left = Number((request.url ?? '').slice(1));
			if (left === 0) response.end('there');
			else redirectTo(`/${left - 1}`, left % 2 === 0 ? 301 : 307)(request, response);
		});
		expect(await text(open(), `http://${server.host}/5`)).toBe('there');
		await expect(text(open(), `http://${server.host}/6`)).rejects.toMatchObject({
			code: 'HTTP_FAILED',
			message: expect.stringContaining('more than 5') as string,
		});
	});

	test('never goes from https to http', async () => {
		const plain = await serve((_request, response) => response.end('plain'));
		const server = await serve(redirectTo(`http://${plain.host}/x`), tls());
		await expect(text(open({}, certificate), `https://${server.host}/`)).rejects.toThrow('not encrypted');
		expect(plain.requests).toEqual([]);
	});

	test('trusts the CA bundle, and says what to do without it', async () => {
		const server = await serve((_request, response) => response.end('safe'), tls());
		expect(await text(open({}, certificate), `https://${server.host}/`)).toBe('safe');
		await expect(text(open(), `https://${server.host}/`)).rejects.toMatchObject({
			code: 'HTTP_FAILED',
			hint: expect.stringContaining('--ca-bundle') as string,
		});
	});

	test('fails rather than truncate what is too large, whether the length is announced or not', async () => {
		const server = await serve((request, response) => {
			if (request.url === '/length') response.setHeader('content-length', 11);
			else response.flushHeaders();
			response.end('12345678901');
		});
		for (const path of ['length', 'chunked']) {
			await expect(text(open(), `http://${server.host}/${path}`, 10)).rejects.toMatchObject({
				code: 'HTTP_FAILED',
				message: expect.stringContaining('larger than 10 bytes') as string,
			});
			expect(await text(open(), `http://${server.host}/${path}`, 11)).toBe('12345678901');
		}
	});

	test.each([
		[404, 'HTTP_NOT_FOUND'],
		[410, 'HTTP_NOT_FOUND'],
		[401, 'HTTP_FAILED'],
		[204, 'HTTP_FAILED'],
		[304, 'HTTP_FAILED'],
		[503, 'HTTP_FAILED'],
	])('makes of status %i the error %s, without the secrets of the URL', async (status, code) => {
		const server = await serve((_request, response) => response.writeHead(status).end());
		const failure = text(open(), `http://ada:s3cret@${server.host}/assemble?sig=s3cret`);
		await expect(failure).rejects.toMatchObject({ code, hint: expect.stringMatching(/\w/) as string });
		await expect(failure).rejects.toThrow(`GET http://${server.host}/assemble was answered with status ${status}`);
	});

	test('fails when the connection ends early, and when nobody listens', async () => {
		const server = await serve((_request, response) => {
			response.writeHead(200, { 'content-length': 100 });
			response.write('part');
			setImmediate(() => response.destroy());
		});
		await expect(text(open(), `http://${server.host}/`)).rejects.toMatchObject({ code: 'HTTP_FAILED' });
		await expect(text(open(), 'http://127.0.0.1:1/')).rejects.toMatchObject({
			code: 'HTTP_FAILED',
			message: expect.stringContaining('ECONNREFUSED') as string,
		});
	});

	test('ends with the reason of the signal, also in the middle of a body', async () => {
		const server = await serve((_request, response) => {
			response.writeHead(200, { 'content-length': 100 });
			response.write('part');
		});
		const stop = new AbortController();
		const { body } = await open().get(`http://${server.host}/`, { maxBytes: 1000 }, stop.signal);
		const reason = new Error('enough');
		const reading = buffer(body);
		stop.abort(reason);
		await expect(reading).rejects.toBe(reason);
		await expect(open().get(`http://${server.host}/`, { maxBytes: 1 }, stop.signal)).rejects.toBe(reason);
	});
});

describe('a proxy', () => {
	/** Sends whatever it is asked for to `target`, by CONNECT and by absolute URLs. */
	async function proxyTo(
		target: string,
	): Promise<{ readonly host: string; readonly asked: string[]; readonly users: (string | undefined)[] }> {
		const asked: string[] = [];
		const users: (string | undefined)[] = [];
		const [hostname, port] = target.split(':');
		const server = createServer((request, response) => {
			users.push(request.headers['proxy-authorization']);
			asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
			const { pathname } = new URL(request.url ?? '');
			httpRequest({ hostname, port, path: pathname }, (answer) => answer.pipe(response)).end();
		});
		server.on('connect', (request, socket) => {
			users.push(request.headers['proxy-authorization']);
			asked.push(`CONNECT ${request.url ?? ''}`);
			const inside = connect(Number(port), hostname ?? '', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
			for (const each of [inside, socket]) each.on('error', () => undefined);
			inside.pipe(socket).pipe(inside);
		});
		return { host: await listen(server), asked, users };
	}

	test.each([
		['ada:s3cret', 'ada:s3cret'],
		['ada', 'ada:'],
		['a%40b:p%3Aw', 'a@b:p:w'],
		['ada:100%', 'ada:100%'],
	])('gets the credentials %s of its URL, and the server does not', async (written, meant) => {
		const expected = `Basic ${Buffer.from(meant).toString('base64')}`;
		const plain = await serve((request, response) => response.end(String(request.headers['proxy-authorization'])));
		const forward = await proxyTo(plain.host);
		expect(await text(open({ HTTP_PROXY: `http://${written}@${forward.host}` }), 'http://scripts.example/a')).toBe(
			'undefined',
		);
		expect(forward.users).toEqual([expected]);

		const safe = await serve(
			(request, response) => response.end(String(request.headers['proxy-authorization'])),
			tls(),
		);
		const tunnel = await proxyTo(safe.host);
		const http = open({ HTTPS_PROXY: `${written}@${tunnel.host}` }, certificate);
		expect(await text(http, 'https://scripts.example/a')).toBe('undefined');
		expect(tunnel.users).toEqual([expected]);
	});

	test.each([
		['http', 407],
		['https', 407],
		['https', 403],
		['https', 503],
	])('that refuses %s with %i is an error', async (scheme, status) => {
		const server = createServer((_request, response) => response.writeHead(status).end());
		server.on('connect', (_request, socket) => socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`));
		const proxy = await listen(server);
		const failure = text(open({ HTTP_PROXY: proxy, HTTPS_PROXY: proxy }), `${scheme}://scripts.example/a`);
		await expect(failure).rejects.toMatchObject({
			code: 'HTTP_FAILED',
			message: expect.stringContaining(String(status)) as string,
		});
	});

	test('is used for http and https, as the environment says in either case', async () => {
		const plain = await serve((_request, response) => response.end('plain'));
		const forward = await proxyTo(plain.host);
		expect(await text(open({ HTTP_PROXY: forward.host }), 'http://scripts.example/a')).toBe('plain');
		expect(forward.asked).toEqual(['GET http://scripts.example/a']);

		const safe = await serve((_request, response) => response.end('safe'), tls());
		const tunnel = await proxyTo(safe.host);
		const http = open({ https_proxy: `http://${tunnel.host}` }, certificate);
		expect(await text(http, 'https://scripts.example/a')).toBe('safe');
		expect(tunnel.asked).toEqual(['CONNECT scripts.example:443']);
	});

	test('is not used for hosts of NO_PROXY and for loopback', async () => {
		const server = await serve((_request, response) => response.end('direct'));
		const proxy = await proxyTo(server.host);
		const env = { http_proxy: `http://${proxy.host}`, no_proxy: 'nowhere.invalid' };
		expect(await text(open(env), `http://${server.host}/`)).toBe('direct');
		await expect(text(open(env), 'http://nowhere.invalid/')).rejects.toMatchObject({ code: 'HTTP_FAILED' });
		expect(proxy.asked).toEqual([]);
	});

	test('that is no URL is an error naming the variable', async () => {
		await expect(text(open({ HTTP_PROXY: 'socks5://x' }), 'http://scripts.example/')).rejects.toMatchObject({
			code: 'HTTP_FAILED',
			message: expect.stringContaining('HTTP_PROXY') as string,
		});
	});
});

describe('post', () => {
	const options = { contentType: 'application/json', tries: 3, timeoutMs: 10_000 };

	test('sends the body again on each try, and gives the status', async () => {
		let count = 0;
		const server = await serve((request, response) => {
			count += 1;
			if (count < 3) request.socket.destroy();
			else response.writeHead(202).end('thanks');
		});
		const url = `http://ada:s3cret@${server.host}/done?x=1`;
		expect(await open().post(url, '{"success":true}', options, signal)).toBe(202);
		const authorization = `Basic ${Buffer.from('ada:s3cret').toString('base64')}`;
		const request = { line: 'POST /done?x=1', authorization, body: '{"success":true}' };
		expect(server.requests).toEqual([request, request, request]);
	});

	test('follows no redirect and tries no status again', async () => {
		const server = await serve(redirectTo('/elsewhere', 307));
		expect(await open().post(`http://${server.host}/`, '{}', options, signal)).toBe(307);
		expect(server.requests).toHaveLength(1);
	});

	test('gives up after its tries: without an answer in time, and without a server', async () => {
		const server = await serve(() => undefined);
		const short = { ...options, tries: 2, timeoutMs: 50 };
		await expect(open().post(`http://${server.host}/x`, '{}', short, signal)).rejects.toMatchObject({
			code: 'HTTP_FAILED',
			message: `POST http://${server.host}/x had no answer within 50 ms`,
		});
		await expect(open().post('http://127.0.0.1:1/', '{}', short, signal)).rejects.toMatchObject({
			code: 'HTTP_FAILED',
			message: expect.stringContaining('ECONNREFUSED') as string,
		});
	});

	test('ends with the reason of the signal', async () => {
		const server = await serve(() => stop.abort(reason));
		const stop = new AbortController();
		const reason = new Error('enough');
		await expect(open().post(`http://${server.host}/`, '{}', options, stop.signal)).rejects.toBe(reason);
	});
});
