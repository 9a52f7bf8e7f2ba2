import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { proxyFor } from '../../../src/http/proxy.js';

const PROXY = 'http://proxy.example:3128';
const isProxied = (host: string, noProxy: string, scheme = 'http'): boolean =>
	proxyFor(new URL(`${scheme}://${host}/v2/`), { HTTP_PROXY: PROXY, HTTPS_PROXY: PROXY, NO_PROXY: noProxy }) !==
	undefined;

describe('the table of golang.org/x/net/http/httpproxy', () => {
	const noProxy =
		'foobar.com, .barbaz.net, *.wildcard.io, 192.168.1.1, 192.168.1.2:81, 192.168.1.3:80, 10.0.0.0/30, ' +
		'2001:db8::52:0:1, [2001:db8::52:0:2]:443, [2001:db8::52:0:3]:80, 2002:db8:a::45/64';

	test.each([
		['localhost', false],
		['127.0.0.1', false],
		['127.0.0.2', false],
		['[::1]', false],
		['[::2]', true],
		['192.168.1.1', false],
		['192.168.1.2', true],
		['192.168.1.3', false],
		['192.168.1.4', true],
		['10.0.0.2', false],
		['[2001:db8::52:0:1]', false],
		['[2001:db8::52:0:2]', true],
		['[2001:db8::52:0:3]', false],
		['[2002:db8:a::123]', false],
		['[fe80::424b:c8be:1643:a1b6]', true],
		['barbaz.net', true],
		['www.barbaz.net', false],
		['foobar.com', false],
		['www.foobar.com', false],
		['foofoobar.com', true],
		['baz.com', true],
		['localhost.net', true],
		['barbarbaz.net', true],
		['wildcard.io', true],
		['nested.wildcard.io', false],
		['awildcard.io', true],
	])('%s is proxied: %s', (host, proxied) => {
		expect(isProxied(host, noProxy)).toBe(proxied);
	});

	test.each([
		['*', false],
		['a.example,*', false],
		[':1', true],
		['', true],
		[',', true],
	])('with %j a host is proxied: %s', (entries, proxied) => {
		expect(isProxied('www.google.com', entries)).toBe(proxied);
	});
});

test.each([
	['10.99.0.1', '10.0.0.0/8', false],
	['10.99.0.1', '10.99.0.1/16', false],
	['10.99.0.1', '10.99.0.1/32', false],
	['10.99.0.1', '11.0.0.0/8', true],
	['10.99.0.1', '0.0.0.0/0', false],
	['10.99.0.1', '::/0', true],
	['[fd00:99::1]', '::/0', false],
	['[fd00:99::1]', '0.0.0.0/0', true],
	['[fd00:99::1]', 'fd00::/8', false],
	['[fd00:99::1]', '[fd00:99::1]', false],
	['[fd00:99::1]', 'FD00:99:0::1', false],
	['[fd00:99::1]:5000', '[fd00:99::1]:5000', false],
	['[fd00:99::1]:5000', '[fd00:99::1]:443', true],
	['[::ffff:10.0.0.1]', '10.0.0.0/8', false],
	['10.0.0.1', '::ffff:10.0.0.0/104', false],
	['10.99.0.1:5000', '10.99.0.1:5000', false],
	['10.99.0.1:5000', '10.99.0.1:5001', true],
	['10.99.0.1', '10.0.0.0/33', true],
	['10.99.0.1', '10.0.0.0/', true],
	['10.99.0.1', '10.99.0', true],
	['10.99.0.1', '010.99.0.1', true],
	['reg.svc', '.svc', false],
	['reg.svc', 'localhost .svc\t10.0.0.0/8', false],
	['reg.svc.', 'svc', false],
	['reg.svc', 'reg.svc.', false],
	['Reg.SVC', 'rEG.svc', false],
	['reg.svc:8443', 'reg.svc:8443', false],
	['reg.svc:8443', '.svc:443', true],
	['xn--bcher-kva.example', 'bücher.example', false],
	['reg.example', 'reg', true],
	['reg.example', '.*', true],
	['reg.example', '*.example.*', true],
])('%s with NO_PROXY=%s is proxied: %s', (host, noProxy, proxied) => {
	expect(isProxied(host, noProxy)).toBe(proxied);
});

test('a port of NO_PROXY is that of the scheme where the URL has none', () => {
	expect(isProxied('reg.example', 'reg.example:443', 'https')).toBe(false);
	expect(isProxied('reg.example', 'reg.example:443', 'http')).toBe(true);
});

test('the scheme chooses the variable, upper case before lower case, and an empty one is none', () => {
	const [http, https] = [new URL('http://reg.example'), new URL('https://reg.example')];
	expect(proxyFor(http, { HTTP_PROXY: 'a', HTTPS_PROXY: 'b' })).toEqual({ name: 'HTTP_PROXY', value: 'a' });
	expect(proxyFor(https, { HTTP_PROXY: 'a', HTTPS_PROXY: 'b' })).toEqual({ name: 'HTTPS_PROXY', value: 'b' });
	expect(proxyFor(https, { HTTPS_PROXY: 'a', https_proxy: 'b' })?.value).toBe('a');
	expect(proxyFor(https, { HTTPS_PROXY: '', https_proxy: 'b' })?.value).toBe('b');
	expect(proxyFor(https, { https_proxy: ' ' })).toBeUndefined();
	expect(proxyFor(https, { HTTP_PROXY: 'a' })).toBeUndefined();
	expect(proxyFor(https, { HTTPS_PROXY: 'a', NO_PROXY: '', no_proxy: 'reg.example' })).toBeUndefined();
});

test('loopback is never proxied', () => {
	for (const host of ['localhost', 'a.localhost', '127.9.9.9', '[::1]', '[::ffff:127.0.0.1]', 'localhost.']) {
		expect(isProxied(host, '')).toBe(false);
	}
});

test('no list makes it throw, and * exempts everything', () => {
	fc.assert(
		fc.property(fc.string(), fc.ipV4(), (list, host) => {
			isProxied(host, list);
			expect(isProxied(host, `${list},*`)).toBe(false);
		}),
	);
});

test('a range of every length holds the address that it is written with', () => {
	fc.assert(
		fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), (host, bits) => {
			expect(isProxied(host, `x.example,${host}/${bits}`)).toBe(false);
		}),
	);
	fc.assert(
		fc.property(fc.ipV6(), fc.integer({ min: 0, max: 128 }), (host, bits) => {
			const plain = host.replace(/%.*$/, '');
			const isMapped = /^(?:0*:)*:?ffff:/i.test(plain) || plain.includes('.');
			fc.pre(URL.canParse(`http://[${plain}]/`) && !isMapped);
			expect(isProxied(`[${plain}]`, `${plain}/${bits}`)).toBe(false);
		}),
	);
});
