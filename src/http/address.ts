import { BlockList, isIPv4, isIPv6 } from 'node:net';

/**
 * Who an address is for: `machine` are link-local addresses, those that clouds give metadata and credentials at, and what is no host
 * at all; `private` are networks that the public cannot reach.
 */
export type Reach = 'public' | 'private' | 'loopback' | 'machine';

const RANGES: Readonly<Record<Exclude<Reach, 'public'>, readonly string[]>> = {
	loopback: ['127.0.0.0/8', '::1/128'],
	machine: [
		// Unspecified, link-local, multicast and reserved (RFC 6890); site-local (RFC 3879).
		...['0.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4', '::/128', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
		// Metadata of Alibaba, Oracle and Azure (its wire server), then of Amazon and Google.
		...['100.100.100.200/32', '192.0.0.0/24', '168.63.129.16/32', 'fd00:ec2::/32', 'fd20:ce::/32'],
	],
	private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '198.18.0.0/15', 'fc00::/7'],
};
const LOOPBACK_NAME = /^(?:(?:.+\.)?localhost|localhost6?\.localdomain6?|localhost6|ip6-(?:localhost|loopback))$/;
const METADATA_NAME =
	/^(?:metadata|metadata\.google\.internal|metadata\.goog|metadata\.azure\.internal|metadata\.tencentyun\.com|instance-data(?:\.ec2\.internal)?)$/;

type Groups = readonly number[];
const last: (groups: Groups) => string = (groups) => dotted(groups[6], groups[7]);
/** Where IPv6 addresses hold the IPv4 address that they lead to. */
const HOLDERS: readonly (readonly [list: () => BlockList, inner: (groups: Groups) => string])[] = [
	// Compatible and mapped (RFC 4291), translated (RFC 2765), NAT64 (RFC 6052).
	[listLater(['::/96', '::ffff:0:0/96', '::ffff:0:0:0/96', '64:ff9b::/96']), last],
	// NAT64 of one network (RFC 8215), where the operator decides; what is no /96 prefix is not guessed at.
	[listLater(['64:ff9b:1::/48']), (groups) => (groups[4] === 0 && groups[5] === 0 ? last(groups) : '0.0.0.0')],
	// 6to4 (RFC 3056) and Teredo (RFC 4380).
	[listLater(['2002::/16']), (groups) => dotted(groups[1], groups[2])],
	[listLater(['2001::/32']), (groups) => dotted((groups[6] ?? 0) ^ 0xffff, (groups[7] ?? 0) ^ 0xffff)],
];

const LISTS = (['loopback', 'machine', 'private'] as const).map((reach) => ({ reach, list: listLater(RANGES[reach]) }));

/**
 * Who the IP address `text` is for, whatever its notation; a zone counts for nothing. IPv6 addresses that lead to an IPv4 address are judged
 * by that; one that is loopback is for the machine then, since no translator leads there.
 */
export function reachOf(text: string): Reach {
	const address = text.replace(/%.*$/, '');
	const family = familyOf(address);
	if (family === undefined) return 'machine';
	const found = LISTS.find(({ list }) => list().check(address, family));
	if (found !== undefined) return found.reach;
	const holder = family === 'ipv6' ? HOLDERS.find(([list]) => list().check(address, 'ipv6')) : undefined;
	if (holder === undefined) return 'public';
	const [, inner] = holder;
	const reach = reachOf(inner(groupsOf(address)));
	return reach === 'loopback' ? 'machine' : reach;
}

/** Who the host of `url` is for, when it is an address; undefined for a name. */
export function reachOfHost(url: URL): Reach | undefined {
	const host = hostOf(url);
	return familyOf(host) === undefined ? undefined : reachOf(host);
}

/** Whether `url` names this machine: localhost and its other names, 127.0.0.0/8, also mapped into IPv6, or ::1. */
export function isLoopback(url: URL): boolean {
	return LOOPBACK_NAME.test(hostOf(url)) || reachOfHost(url) === 'loopback';
}

/** Whether `url` names cloud metadata or an address that only this machine should use, and is not its loopback. */
export function isLocalAddress(url: URL): boolean {
	return METADATA_NAME.test(hostOf(url)) || reachOfHost(url) === 'machine';
}

/** A trailing dot makes a name absolute, and leaves it the same name. */
function hostOf(url: URL): string {
	return url.hostname.toLowerCase().replace(/^\[|\]$|\.$/g, '');
}

/** Undefined for what is no address. That a name is none is seen without the expression for IPv6, which takes some ms to compile. */
function familyOf(text: string): 'ipv4' | 'ipv6' | undefined {
	if (text.includes(':')) return isIPv6(text) ? 'ipv6' : undefined;
	return isIPv4(text) ? 'ipv4' : undefined;
}

/** The list of `ranges`, made for the first address: most hosts are names. */
function listLater(ranges: readonly string[]): () => BlockList {
	let list: BlockList | undefined;
	return () => (list ??= listOf(ranges));
}

function listOf(ranges: readonly string[]): BlockList {
	const list = new BlockList();
	for (const range of ranges) {
		const [address = '', bits] = range.split('/');
		list.addSubnet(address, Number(bits), address.includes(':') ? 'ipv6' : 'ipv4');
	}
	return list;
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): Groups {
	const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
	const [head = '', tail] = canonical.split('::');
	const parse = (part: string): number[] =>
		part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
	const [before, after] = [parse(head), parse(tail ?? '')];
	const missing = tail === undefined ? 0 : 8 - before.length - after.length;
	return [...before, ...Array.from({ length: missing }, () => 0), ...after];
}

function dotted(high = 0, low = 0): string {
	return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}
