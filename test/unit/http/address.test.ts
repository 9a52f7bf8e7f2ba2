import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isLocalAddress, isLoopback, reachOf } from '../../../src/http/address.js';
import { WEB } from '../../../src/http/policy.js';
import { redirected, resolveLocation } from '../../../src/http/redirect.js';
import { REGISTRY } from '../../../src/registry/transport.js';
import { parseImageScriptsUrl } from '../../../src/s2i/scripts.js';

const resolveHop = (from: URL, location: string) => resolveLocation(from, location, REGISTRY);

const MACHINE = [
	...['0.0.0.0', '0.1.2.3', '169.254.169.254', '169.254.0.23', '224.0.0.1', '255.255.255.255', '192.0.0.192'],
	...['100.100.100.200', '168.63.129.16', '2852039166', '0xa9fea9fe', '0251.0376.0251.0376', '169.254.43518'],
	...['[::]', '[fe80::1]', '[fec0::1]', '[ff02::1]', '[fd00:ec2::254]', '[fd20:ce::254]', '[::169.254.169.254]'],
	...['[::ffff:169.254.169.254]', '[::ffff:0:169.254.169.254]', '[::ffff:100.100.100.200]', '[::a9fe:a9fe]'],
	...['[64:ff9b::169.254.169.254]', '[64:ff9b::7f00:1]', '[64:ff9b:1::169.254.169.254]', '[64:ff9b:1:7f00:0:100::]'],
	...['[64:ff9b:1:abcd::a9fe:a9fe]', '[2002:7f00:1::]', '[2002:a9fe:a9fe::1]', '[::127.0.0.1]', '[::ffff:0:127.0.0.1]'],
	...[
		'[2001:0:4136:e378:8000:63bf:5601:5601]',
		'metadata',
		'metadata.google.internal',
		'METADATA.goog.',
		'instance-data',
	],
];
const LOOPBACK = [
	...['localhost', 'LOCALHOST.', 'a.localhost', 'localhost.localdomain', 'localhost6', 'ip6-localhost', 'ip6-loopback'],
	...[
		'127.0.0.1',
		'127.1',
		'2130706433',
		'0x7f.1',
		'[::1]',
		'[0:0:0:0:0:0:0:1]',
		'[::ffff:127.0.0.1]',
		'[::ffff:7f12:3456]',
	],
];
const PUBLIC = [
	'8.8.8.8',
	'[2606:4700::1]',
	'[::ffff:8.8.8.8]',
	'[64:ff9b::8.8.8.8]',
	'[64:ff9b:1::808:808]',
	'[2002:808:808::1]',
];

describe('addresses and names for this machine only', () => {
	test.each(MACHINE)('%s is refused by registries, web servers and labels, wherever it comes from', (host) => {
		const url = new URL(`https://${host}/x`);
		expect([isLocalAddress(url), isLoopback(url)]).toEqual([true, false]);
		for (const from of ['https://reg.example/v2/', 'https://10.0.0.1/v2/', 'https://127.0.0.1/v2/']) {
			const hop = { method: 'GET', url: new URL(from), namedBy: 'user' } as const;
			expect(() => resolveHop(new URL(from), url.href)).toThrow(/only this machine/);
			expect(() => redirected(hop, url.href, REGISTRY)).toThrow(/only this machine/);
			expect(() => redirected(hop, url.href, WEB)).toThrow(/only this machine/);
		}
		expect(() => parseImageScriptsUrl(url.href)).toThrow(/only this machine/);
	});

	test.each(LOOPBACK)('%s is this machine', (host) => {
		const url = new URL(`https://${host}/x`);
		const hop = { method: 'GET', url: new URL('https://web.example/'), namedBy: 'user' } as const;
		expect([isLocalAddress(url), isLoopback(url)]).toEqual([false, true]);
		expect(() => resolveHop(new URL('https://reg.example/v2/'), url.href)).toThrow(/only this machine/);
		expect(() => redirected(hop, url.href, WEB)).toThrow(/only this machine/);
		expect(resolveHop(new URL('https://127.0.0.1:5000/v2/'), url.href).href).toBe(url.href);
	});

	test.each([...PUBLIC, 'localhost.example', 'metadata.example', 'my-metadata'])('%s is any other', (host) => {
		const url = new URL(`https://${host}/x`);
		expect([isLocalAddress(url), isLoopback(url)]).toEqual([false, false]);
		expect(resolveHop(new URL('https://reg.example/v2/'), url.href).href).toBe(url.href);
	});
});

test.each([
	...['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', '198.18.0.1', 'fc00::1', 'fd12::1'],
	...['::ffff:10.0.0.1', '::10.0.0.1', '64:ff9b::a00:1', '64:ff9b:1::a00:1', '2002:a00:1::'],
])('%s is private', (address) => {
	expect(reachOf(address)).toBe('private');
});

test.each([
	'172.15.0.1',
	'172.32.0.1',
	'11.0.0.1',
	'100.63.0.1',
	'100.128.0.1',
	'198.20.0.1',
	'fe00::1',
	'2001:db8::1',
])('%s is public', (address) => {
	expect(reachOf(address)).toBe('public');
});

test.each(['fe80::1%eth0', 'nonsense', ''])('%s is for this machine, as what cannot be told', (address) => {
	expect(reachOf(address)).toBe('machine');
});

test('every address is as near as the IPv4 address that it holds', () => {
	fc.assert(
		fc.property(
			fc.ipV4(),
			fc.constantFrom('::', '::ffff:', '::ffff:0:', '64:ff9b::', '64:ff9b:1::'),
			(inner, prefix) => {
				const reach = reachOf(inner);
				const isMapped = prefix === '::ffff:';
				const found = reachOf(`${prefix}${inner}`);
				// ::1 is itself, and not 0.0.0.1.
				if (inner === '0.0.0.1' && prefix === '::') return;
				expect(found).toBe(reach === 'loopback' && !isMapped ? 'machine' : reach);
			},
		),
	);
});
