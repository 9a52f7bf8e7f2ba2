import { randomBytes } from 'node:crypto';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { open, serve, text } from './server.js';

const signal = AbortSignal.timeout(60_000);

describe('content that is encoded although identity was asked for', () => {
	const script = '#!/bin/sh\necho hello\n'.repeat(200);
	const archive = gzipSync(randomBytes(5000));

	test.each<[string, string, string, Buffer, string | Buffer]>([
		['a script', '/run', 'gzip', gzipSync(script), script],
		['a script, by its old name', '/run', 'x-gzip', gzipSync(script), script],
		['a script', '/run', 'deflate', deflateSync(script), script],
		['a script', '/run', 'br', brotliCompressSync(script), script],
		['a script that is not', '/run', 'gzip', Buffer.from(script), script],
		['an archive that is not', '/app.tar.gz', 'gzip', archive, archive],
		['an archive that is not', '/app.tgz', 'x-gzip', archive, archive],
		['an archive', '/app.tar.gz', 'gzip', gzipSync(archive), archive],
		['nothing', '/run', 'gzip', Buffer.alloc(0), ''],
	])('is decoded: %s at %s as %s', async (_title, path, encoding, sent, meant) => {
		for (const length of [{ 'content-length': String(sent.length) }, {}]) {
			const server = await serve((_request, response) => {
				response.writeHead(200, { 'content-encoding': encoding, ...length }).end(sent);
			});
			const { body } = await open().get(`http://${server.host}${path}`, { maxBytes: 100_000 }, signal);
			expect(await buffer(body)).toEqual(Buffer.from(meant));
		}
	});

	test('is an error when it is cut or damaged, and when it is a bomb', async () => {
		const whole = gzipSync(randomBytes(50_000));
		const bomb = gzipSync(Buffer.alloc(10_000_000));
		for (const sent of [
			whole.subarray(0, 20_000),
			Buffer.concat([whole.subarray(0, 20_000), Buffer.alloc(30_000)]),
			bomb,
		]) {
			const server = await serve((_request, response) => {
				response.writeHead(200, { 'content-encoding': 'gzip' }).end(sent);
			});
			await expect(text(open(), `http://${server.host}/run`)).rejects.toMatchObject({ code: 'HTTP_FAILED' });
		}
	});
});

describe('a server of HTTP/1.0', () => {
	/** Answers with `head` and `content`, and closes. */
	async function serveRaw(head: string, content: Buffer): Promise<string> {
		const server = createTcpServer((socket) => {
			socket.on('error', () => undefined);
			socket.once('data', () => socket.end(Buffer.concat([Buffer.from(`${head}\r\n\r\n`), content])));
		});
		await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
		onTestFinished(() => void server.close());
		return `127.0.0.1:${(server.address() as AddressInfo).port}`;
	}

	const content = randomBytes(300_000);
	const length = `Content-Length: ${content.length}`;

	test.each([
		['HTTP/1.0 200 OK'],
		[`HTTP/1.0 200 OK\r\n${length}`],
		[`HTTP/1.1 200 OK\r\n${length}\r\nConnection: close`],
		['HTTP/1.1 200 OK\r\nConnection: close'],
		['HTTP/1.1 200'],
	])('that says %j is read to its end, again and again', async (head) => {
		const host = await serveRaw(head, content);
		const http = open();
		for (let round = 0; round < 5; round += 1) {
			const { body } = await http.get(`http://${host}/x`, { maxBytes: 1_000_000 }, signal);
			expect((await buffer(body)).equals(content)).toBe(true);
		}
	});

	test.each([
		['less than it says', `HTTP/1.1 200 OK\r\nContent-Length: ${content.length + 1}`],
		['half a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked'],
		['no HTTP', 'hello'],
	])('that sends %s is an error', async (_title, head) => {
		const host = await serveRaw(head, content);
		await expect(text(open(), `http://${host}/x`)).rejects.toMatchObject({ code: 'HTTP_FAILED' });
	});
});
