import { lookup as lookupByDns } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { BuildError, type ErrorCode } from '../errors.js';
import { isLoopback, type Reach, reachOf, reachOfHost } from './address.js';

/** Who named the host of a request: the user, a label of an image, or a server, by a redirect, an upload location or a token realm. */
export type NamedBy = 'user' | 'image' | URL;

/** What addresses a connection may have. */
type Allowance = 'any' | 'not-machine' | 'private' | 'public';

/** Judges addresses when they are known, which for a name is after DNS has been asked by the connection itself. */
export interface AddressJudge {
	/**
	 * How names are looked up for a connection to `url`, and a key of what it allows. Throws the code of the judge when the host is an
	 * address, and not allowed.
	 */
	readonly lookupFor: (url: URL, namedBy: NamedBy) => { readonly key: string; readonly lookup: LookupFunction };
}

const ALLOWED: Readonly<Record<Allowance, readonly Reach[]>> = {
	any: ['public', 'private', 'loopback', 'machine'],
	'not-machine': ['public', 'private', 'loopback'],
	private: ['public', 'private'],
	public: ['public'],
};
const KINDS: Readonly<Record<Exclude<Reach, 'public'>, string>> = {
	private: 'an address of a private network',
	loopback: 'an address of this machine',
	machine: 'an address that only this machine should use',
};

/**
 * A judge that fails with `code`. The host that the user named may be anywhere; that of a label anywhere but at `machine` addresses; that of
 * another server only where the public is, or in private networks when that server is itself in one: a name that changes its address
 * (DNS rebinding) leads nowhere else either. `lookup` is for tests.
 */
export function judgeAddresses(code: ErrorCode, lookup: LookupFunction = lookupByDns): AddressJudge {
	const seen = new Map<string, Reach>();
	const lookups = new Map<Allowance, LookupFunction>();
	return {
		lookupFor: (url, namedBy) => {
			const allowance = allowanceFor(url, namedBy, seen);
			const reach = reachOfHost(url);
			if (reach !== undefined && !ALLOWED[allowance].includes(reach)) throw refused(code, url.hostname);
			const known = lookups.get(allowance) ?? lookupWithin(allowance, seen, code, lookup);
			lookups.set(allowance, known);
			return { key: allowance, lookup: known };
		},
	};
}

function allowanceFor(to: URL, namedBy: NamedBy, seen: ReadonlyMap<string, Reach>): Allowance {
	if (namedBy === 'user') return 'any';
	// From another server it leads there only when that is on this machine, too.
	if (namedBy === 'image' || isLoopback(to)) return 'not-machine';
	return (reachOfHost(namedBy) ?? seen.get(namedBy.hostname)) === 'private' ? 'private' : 'public';
}

function lookupWithin(
	allowance: Allowance,
	seen: Map<string, Reach>,
	code: ErrorCode,
	lookup: LookupFunction,
): LookupFunction {
	return (hostname, options, callback) => {
		lookup(hostname, { ...options, all: true }, (error, found) => {
			// Node gives no list with an error, whatever its types say.
			const addresses = error === null && typeof found !== 'string' ? found : [];
			const fit = addresses.filter(({ address }) => ALLOWED[allowance].includes(reachOf(address)));
			for (const { address } of fit) {
				if (seen.get(hostname) !== 'public') seen.set(hostname, reachOf(address));
			}
			const [first] = fit;
			if (error !== null) callback(error, []);
			else if (first === undefined) callback(refused(code, hostname, addresses[0]?.address), []);
			else if (options.all === true) callback(null, [...fit]);
			else callback(null, first.address, first.family);
		});
	};
}

function refused(code: ErrorCode, host: string, address = host.replace(/^\[|\]$/g, '')): BuildError {
	const reach = reachOf(address);
	const kind = reach === 'public' ? 'no address' : KINDS[reach];
	const where = host.includes(address) ? `${host}, ${kind}` : `${host}, which is at ${address}, ${kind}`;
	return new BuildError(code, `a server or an image leads to ${where}; refused`, {
		hint: 'Only a host that you name yourself may be there; ask who runs the server to correct its redirects.',
	});
}
