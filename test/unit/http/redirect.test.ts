import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { HttpRequest } from '../../../src/http/client.js';
import { requestTo } from '../../../src/http/http.js';
import { WEB } from '../../../src/http/policy.js';
import { redirected } from '../../../src/http/redirect.js';

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
const hop = (url: string): HttpRequest => ({ method: 'GET', url: new URL(url), headers: { authorization: 'Basic x' } });
const authorizationOf = ({ headers }: HttpRequest) => headers?.['authorization'];

describe('the first hop', () => {
	test.each([
		['https://host/a?b=c#d', 'https://host/a?b=c', undefined],
		['https://ada@host/', 'https://host/', basic('ada:')],
		['http://ada:s%40crt%3A@host:8080/', 'http://host:8080/', basic('ada:s@crt:')],
		['https://ada:100%@host/', 'https://host/', basic('ada:100%')],
		['https://:token@host/', 'https://host/', basic(':token')],
	])('of %s is %s with its user info as Authorization', (text, url, authorization) => {
		const first = requestTo('GET', text);
		expect([first.url.href, authorizationOf(first)]).toEqual([url, authorization]);
	});

	test.each(['file:///etc/passwd', 'ftp://ada:s3cret@host/', 'data:text/plain,x', 'no url', 'http://'])(
		'is refused for %s',
		(text) => {
			expect(() => requestTo('GET', text)).toThrow(expect.objectContaining({ code: 'HTTP_FAILED' }) as Error);
			expect(() => requestTo('GET', text)).not.toThrow(/s3cret/);
		},
	);
});

describe('the next hop', () => {
	test.each([
		['https://host/a', '/b', 'https://host/b', 'Basic x'],
		['https://host/a', 'https://host:443/b', 'https://host/b', 'Basic x'],
		['https://host/a', '//other/b', 'https://other/b', undefined],
		['https://host/a', 'https://host:8443/b', 'https://host:8443/b', undefined],
		['https://host/a', 'https://sub.host/b', 'https://sub.host/b', undefined],
		['https://host/a', 'https://eve:evil@other/b', 'https://other/b', undefined],
		['http://host/a', 'https://host/b', 'https://host/b', undefined],
		['http://127.0.0.1:1/a', 'http://127.0.0.1:2/b', 'http://127.0.0.1:2/b', undefined],
	])('from %s by %s is %s, with credentials %s', (from, location, to, authorization) => {
		const next = redirected(hop(from), location, WEB);
		expect([next.url.href, authorizationOf(next)]).toEqual([to, authorization]);
	});

	test.each([
		['https://host/a', 'http://host/a', 'not encrypted'],
		['https://host/a', 'http://other/a', 'not encrypted'],
		['https://host/a', 'file:///etc/shadow', 'scheme file:'],
		['https://host/a', 'http://[', 'not a URL'],
		['https://host/a', 'https://127.0.0.1/a', 'only this machine'],
		['http://host/a', 'http://[::1]/a', 'only this machine'],
		['http://host/a', 'http://169.254.169.254/latest/meta-data', 'only this machine'],
		['http://127.0.0.1/a', 'http://metadata.google.internal/', 'only this machine'],
		['http://host/a', 'http://[::ffff:127.0.0.1]/a', 'only this machine'],
	])('from %s to %s is refused: %s', (from, location, reason) => {
		expect(() => redirected(hop(from), location, WEB)).toThrow(reason);
	});

	test('credentials never come back once they were dropped, and never reach another origin', () => {
		const origins = ['https://a', 'https://b', 'https://a:444', 'https://a.b'];
		fc.assert(
			fc.property(fc.array(fc.constantFrom(...origins), { maxLength: 6 }), (path) => {
				let at = requestTo('GET', 'https://ada:s3cret@a/');
				let left = false;
				for (const origin of path) {
					at = redirected(at, `${origin}/`, WEB);
					left ||= origin !== 'https://a';
					expect(authorizationOf(at) === undefined).toBe(left);
				}
			}),
		);
	});
});
