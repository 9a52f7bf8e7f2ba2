import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { isLoopback } from '../../../src/http/address.js';
import type { HttpRequest, HttpResponse } from '../../../src/http/client.js';
import { followRedirects, resolveLocation } from '../../../src/http/redirect.js';
import { matchHosts } from '../../../src/registry/registries.js';
import { responseError } from '../../../src/registry/response-error.js';
import { parseRetryAfter } from '../../../src/registry/retry.js';
import { scopesFor } from '../../../src/registry/token.js';
import { REGISTRY } from '../../../src/registry/transport.js';

const resolveHop = (from: URL, location: string) => resolveLocation(from, location, REGISTRY);

const { signal } = new AbortController();
const registry = new URL('https://reg.example/v2/');

function response(status: number, headers: Record<string, string> = {}, body = '', url = registry): HttpResponse {
	return { status, headers, body: Readable.from([Buffer.from(body)]), url };
}

describe('resolveHop', () => {
	test.each([
		['/v2/x?_state=a%2Bb', 'https://reg.example/v2/x?_state=a%2Bb'],
		['https://storage.example/blob?sig=x', 'https://storage.example/blob?sig=x'],
		['http://reg.example/v2/x', 'https://reg.example/v2/x'],
		['http://reg.example:443/v2/x', 'https://reg.example/v2/x'],
		['reg.example/v2/x', 'https://reg.example/v2/x'],
		['//storage.example/v2/x', 'https://storage.example/v2/x'],
		['x?a=b', 'https://reg.example/v2/x?a=b'],
		['https://user:pw@storage.example/x', 'https://storage.example/x'],
	])('%s leads to %s', (location, url) => {
		expect(resolveHop(registry, location).href).toBe(url);
	});

	test.each([
		'http://storage.example/x',
		'http://reg.example:8080/x',
		'ftp://reg.example/x',
		'file:///etc/passwd',
		'https://127.0.0.1/x',
		'https://localhost:2375/x',
		'https://[::1]/x',
		'https://169.254.169.254/x',
		'https://2852039166/x',
		'https://[fe80::1]/x',
		'https://[::ffff:169.254.169.254]/x',
		'https://0.0.0.0/x',
		'https://metadata.google.internal/x',
	])('%s is refused', (location) => {
		expect(() => resolveHop(registry, location)).toThrow(
			expect.objectContaining({ code: 'REGISTRY_REFUSED' }) as Error,
		);
	});
});

describe('followRedirects', () => {
	const hops = async (locations: readonly string[]): Promise<readonly HttpRequest[]> => {
		const seen: HttpRequest[] = [];
		const send = followRedirects((request: HttpRequest) => {
			const location = locations[seen.length];
			seen.push(request);
			return Promise.resolve(location === undefined ? response(200) : response(307, { location }));
		}, REGISTRY);
		await send(
			{ method: 'GET', url: registry, headers: { authorization: 'Bearer canary', range: 'bytes=5-' } },
			signal,
		);
		return seen;
	};

	test.each([
		'https://reg.example:8443/x',
		'https://sub.reg.example/x',
		'https://reg.example.evil.example/x',
		'https://10.0.0.1/x',
	])('a redirect to %s keeps the Range but not the Authorization', async (location) => {
		const [, second] = await hops([location]);
		expect(second?.headers).toEqual({ range: 'bytes=5-' });
	});

	test('Authorization that was dropped does not come back on the way home', async () => {
		const seen = await hops(['/elsewhere', 'https://storage.example/x', 'https://reg.example/y']);
		expect(seen.map(({ headers }) => headers?.['authorization'])).toEqual([
			'Bearer canary',
			'Bearer canary',
			undefined,
			undefined,
		]);
	});
});

test.each([
	['127.0.0.1:5000', true],
	['127.9.9.9', true],
	['localhost:5000', true],
	['registry.localhost', true],
	['[::1]:5000', true],
	['localhost.evil.example', false],
	['127.0.0.1.evil.example', false],
	['10.0.0.1', false],
])('%s is this machine: %s', (host, loopback) => {
	expect(isLoopback(new URL(`http://${host}`))).toBe(loopback);
});

test('an insecure registry is exactly that host and port', () => {
	const insecure = matchHosts(['reg.example:5000', 'plain.example']);
	expect(insecure(new URL('https://reg.example:5000/x'))).toBe(true);
	expect(insecure(new URL('https://plain.example/x'))).toBe(true);
	expect(insecure(new URL('https://reg.example/x'))).toBe(false);
	expect(insecure(new URL('https://reg.example:5001/x'))).toBe(false);
	expect(insecure(new URL('https://auth.plain.example/x'))).toBe(false);
});

test.each([
	[undefined, undefined],
	['5', 5000],
	['Thu, 01 Jan 1970 00:01:00 GMT', 59_000],
	['Thu, 01 Jan 1970 00:00:00 GMT', 0],
	['soon', undefined],
])('Retry-After %s is %s ms', (header, ms) => {
	expect(parseRetryAfter(header, 1000)).toBe(ms);
});

describe('scopesFor', () => {
	const repository = { registry: 'reg.example', path: 'team/app' };
	const from = { registry: 'reg.example', path: 'base/image' };

	test('merges what was demanded with what is needed, the demanded repository first', () => {
		const access = { repository, actions: 'pull,push', from } as const;
		expect(scopesFor(access, undefined)).toEqual(['repository:team/app:pull,push', 'repository:base/image:pull']);
		expect(scopesFor(access, 'repository:team/app:push,pull')).toEqual([
			'repository:team/app:pull,push',
			'repository:base/image:pull',
		]);
		expect(scopesFor(access, 'repository:base/image:pull')[0]).toBe('repository:base/image:pull');
		expect(scopesFor(access, 'repository:base/image:pull repository:team/app:push')).toEqual([
			'repository:base/image:pull',
			'repository:team/app:pull,push',
		]);
	});
});

describe('responseError', () => {
	const errors = (code: string, message: string): string => JSON.stringify({ errors: [{ code, message }] });

	test.each([
		[404, errors('NAME_UNKNOWN', 'repository not found'), 'pushing x to y', 'REGISTRY_NOT_FOUND', /create it/],
		[404, errors('MANIFEST_UNKNOWN', 'no'), 'pulling x', 'REGISTRY_NOT_FOUND', /Check the name/],
		[400, errors('UNKNOWN', 'artifact team/app:v1 not found'), 'pulling x', 'REGISTRY_NOT_FOUND', /Check the name/],
		[400, errors('MANIFEST_UNKNOWN', 'no'), 'pulling x', 'REGISTRY_NOT_FOUND', /Check the name/],
		[400, errors('UNKNOWN', 'unknown error'), 'pulling x', 'REGISTRY_REFUSED', /says/],
		[404, errors('UNKNOWN', 'Not Found'), 'pulling x', 'REGISTRY_NOT_FOUND', /Check the name/],
		[502, errors('UNKNOWN', 'upstream not found'), 'pulling x', 'REGISTRY_UNREACHABLE', /later/],
		[403, errors('DENIED', 'no'), 'pushing x', 'REGISTRY_DENIED', /push to/],
		[429, '', 'pulling x', 'REGISTRY_LIMITED', /Log in/],
		[503, '<html>', 'pulling x', 'REGISTRY_UNREACHABLE', /later/],
		[413, '', 'pushing x', 'REGISTRY_REFUSED', /size/],
		[400, '[]', 'pushing x', 'REGISTRY_REFUSED', /says/],
	])('HTTP %i %s while %s is %s', async (status, body, what, code, hint) => {
		const error = await responseError(response(status, {}, body), what);
		expect(error).toMatchObject({ code, message: expect.stringContaining(`${what} failed: HTTP ${status}`) as string });
		expect(error.hint).toMatch(hint);
	});

	test.each([
		['100;w=21600', /\(100 in 6 h\)/],
		['many', /requested\./],
	])('a rate limit of %s is told', async (limit, hint) => {
		const error = await responseError(response(429, { 'ratelimit-limit': limit }), 'pulling x');
		expect(error.hint).toMatch(hint);
	});

	test('what the registry says is capped and redacted', async () => {
		const body = errors('X', `see https://user:canary@host/?sig=canary \u001b[31m${'y'.repeat(100_000)}`);
		const { message } = await responseError(
			response(400, {}, body.slice(0, 60_000).replace(/y+$/, 'y"}]}')),
			'pushing x',
		);
		expect(message).not.toMatch(/canary|\u001b/);
		expect(message.length).toBeLessThan(500);
	});
});
