import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { openHttp } from '../../../src/http/http.js';
import { sendCallback } from '../../../src/pipeline/callback/report-callback.js';
import type { BuildEvent } from '../../../src/pipeline/events.js';

const outcome = { success: true, labels: { team: 'blue' }, messages: ['done'] };

async function listen(listener: RequestListener): Promise<string> {
	const server = createServer(listener);
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	onTestFinished(() => {
		server.closeAllConnections();
		server.close();
	});
	return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function send(
	url: string,
	format: 's2i' | 'sti' = 's2i',
	signal: AbortSignal = AbortSignal.timeout(60_000),
): Promise<readonly BuildEvent[]> {
	const http = openHttp({ env: {}, caBundle: undefined, userAgent: 's2oci/test' });
	onTestFinished(() => http.close());
	const events: BuildEvent[] = [];
	await sendCallback({ url, format }, outcome, http, (event) => events.push(event), signal);
	return events;
}

test('a callback is a POST of JSON, sent again with its body until it is answered', async () => {
	const bodies: string[] = [];
	const host = await listen((request, response) => {
		void text(request).then((body) => {
			bodies.push(`${request.method ?? ''} ${request.headers['content-type'] ?? ''} ${body}`);
			if (bodies.length < 3) request.socket.destroy();
			else response.writeHead(204).end();
		});
	});
	const events = await send(`http://ada:s3cret@${host}/hooks/s3cret?sig=s3cret`);
	const sent = 'POST application/json {"success":true,"labels":{"team":"blue"}}';
	expect(bodies).toEqual([sent, sent, sent]);
	expect(events).toEqual([{ type: 'log', level: 1, message: `callback sent to http://${host}` }]);
});

test.each([
	[300, 'redirects are not followed'],
	[307, 'redirects are not followed'],
	[404, 'status 404'],
	[500, 'status 500'],
])('the answer %i is a warning without the secrets of the URL', async (status, message) => {
	let count = 0;
	const host = await listen((request, response) => {
		count += 1;
		request.resume();
		response.writeHead(status, { location: '/elsewhere' }).end();
	});
	const events = await send(`http://ada:s3cret@${host}/hooks/s3cret?sig=s3cret`, 'sti');
	expect(events).toEqual([{ type: 'warning', code: 'CALLBACK', message: expect.stringContaining(message) as string }]);
	expect(JSON.stringify(events)).toContain(`http://${host} was answered with status ${status}`);
	expect(JSON.stringify(events)).not.toContain('s3cret');
	expect(count).toBe(1);
});

test.each(['http://ada:s3cret@127.0.0.1:1/s3cret?s3cret', 'ftp://ada:s3cret@host/s3cret', 's3cret'])(
	'what cannot be reached is a warning without the secrets of the URL: %s',
	async (url) => {
		const events = await send(url);
		expect(events).toEqual([
			{ type: 'warning', code: 'CALLBACK', message: expect.stringMatching(/^the callback to .* failed: /) as string },
		]);
		expect(JSON.stringify(events)).not.toContain('s3cret');
	},
);

test('a signal ends it with a warning, not with an error', async () => {
	const stop = new AbortController();
	const host = await listen(() => stop.abort(new Error('enough')));
	expect(await send(`http://${host}/`, 's2i', stop.signal)).toEqual([
		{ type: 'warning', code: 'CALLBACK', message: `the callback to http://${host} failed: enough` },
	]);
});
