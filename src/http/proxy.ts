import { BlockList, isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { isLoopback } from './address.js';

/** Variables of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The name of the variable that names the proxy, and its value as written. */
export interface ProxySetting {
	readonly name: 'HTTP_PROXY' | 'HTTPS_PROXY';
	readonly value: string;
}

/** Whether an address, without brackets, is in a range; a name never is. */
type Range = (host: string) => boolean;
/** Whether an entry of NO_PROXY is for `host`, without brackets and final dot, at `port`. */
type Exempts = (host: string, port: string) => boolean;

const CIDR = /^(?<address>[^/]+)\/(?<bits>\d{1,3})$/;
const WITH_PORT = /^(?<host>\[[^\]]*\]|[^:[\]]*):(?<port>[^:]*)$/;

/**
 * The proxy for `url` by HTTP_PROXY, HTTPS_PROXY and NO_PROXY of `env`, or their lower-case forms where those are empty; undefined for a
 * direct connection. As Go's golang.org/x/net/http/httpproxy has it, and so skopeo, podman and every other registry tool: NO_PROXY
 * holds addresses, ranges (CIDR), domains with all below them, `.domain` and `*.domain` for only those below, each with a port or
 * without, or `*`. Here also with spaces between them, brackets without a port and final dots. Loopback is never proxied.
 */
export function proxyFor(url: URL, env: Environment): ProxySetting | undefined {
	const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
	const value = read(env, name);
	if (value === '' || isLoopback(url) || isExempt(url, read(env, 'NO_PROXY'))) return undefined;
	return { name, value };
}

function read(env: Environment, name: string): string {
	const values = [env[name], env[name.toLowerCase()]].map((value) => value?.trim() ?? '');
	return values.find((value) => value !== '') ?? '';
}

function isExempt(url: URL, list: string): boolean {
	const host = url.hostname.replace(/^\[|\]$|\.$/g, '').toLowerCase();
	const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
	const entries = list.toLowerCase().split(/[\s,]+/);
	return entries.some((entry) => parseEntry(entry)(host, port));
}

/** Of what cannot be understood, nothing is exempt. */
function parseEntry(entry: string): Exempts {
	if (entry === '*') return () => true;
	const range = rangeOf(entry);
	if (range !== undefined) return range;
	const { host = entry, port = '' } = WITH_PORT.exec(entry)?.groups ?? {};
	const fits: (asked: string) => boolean = (asked) => port === '' || port === asked;
	const bare = host.replace(/^\[|\]$/g, '');
	const address = isIP(bare) === 0 ? undefined : rangeOf(`${bare}/${isIP(bare) === 4 ? 32 : 128}`);
	if (address !== undefined) return (asked, at) => fits(at) && address(asked);
	const domain = domainOf(bare);
	return (asked, at) => domain !== undefined && fits(at) && domain(asked);
}

function domainOf(text: string): ((host: string) => boolean) | undefined {
	const host = text.replace(/^\*(?=\.)/, '').replace(/\.$/, '');
	const isBelow = host.startsWith('.');
	const plain = isBelow ? host.slice(1) : host;
	// Only what is not ASCII: it would read 10.1 as an address.
	const name = /^[\x21-\x7e]*$/.test(plain) ? plain : domainToASCII(plain);
	if (name === '') return undefined;
	return (asked) => asked.endsWith(`.${name}`) || (!isBelow && asked === name);
}

function rangeOf(text: string): Range | undefined {
	const { address = '', bits = '' } = CIDR.exec(text)?.groups ?? {};
	const family = isIP(address);
	if (family === 0 || Number(bits) > (family === 4 ? 32 : 128)) return undefined;
	const range = new BlockList();
	range.addSubnet(address, Number(bits), family === 4 ? 'ipv4' : 'ipv6');
	return (host) => {
		// BlockList takes every IPv4 address for one of ::/0; only mapped ones are.
		if (isIP(host) === 4) return (family === 4 || Number(bits) >= 96) && range.check(host, 'ipv4');
		return isIP(host) === 6 && range.check(host, 'ipv6');
	};
}
