import type { LookupFunction } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import type { Dispatcher } from 'undici';
import { BuildError, errnoOf, messageOf } from '../errors.js';
import { readSmallFile } from '../small-file.js';
import { userOf } from './basic.js';
import { readLeastRate, requireRate } from './least-rate.js';
import { judgeAddresses, type NamedBy } from './lookup.js';
import type { Policy } from './policy.js';
import { type Environment, type ProxySetting, proxyFor } from './proxy.js';

/** How hosts are reached. */
export interface ConnectionOptions {
	/** Where proxies are looked up. */
	readonly env: Environment;
	/** Path of a PEM file that is trusted in addition. */
	readonly caBundle: string | undefined;
	/** In place of the system's, for tests. */
	readonly lookup?: LookupFunction | undefined;
}

/** The connections to all hosts. */
export interface Dispatchers {
	/**
	 * undici's dispatcher for `url`, whose host `namedBy` named; `insecure` means that certificates are not verified. Throws USAGE for an
	 * unreadable CA bundle, `failed` for an impossible proxy, and `refused` for addresses as {@link judgeAddresses} does; names are judged when they are connected to, except
	 * behind a proxy, which looks them up itself.
	 */
	readonly open: (url: URL, insecure: boolean, namedBy: NamedBy) => Promise<Dispatcher>;
	/** Ends all connections. */
	readonly close: () => Promise<void>;
}

/** Those of distributions have a quarter of a MiB. */
const MAX_BUNDLE = 16 << 20;
const CONNECT_TIMEOUT = 30_000;
/** Bytes that V8 takes for executed. undici parses with WebAssembly: to optimise that costs more than all that a build has for it. */
const PARSED_BEFORE_OPTIMISED = 2 ** 30;

/**
 * Connections by undici, which is loaded when the first is wanted: kept alive, through the proxies that {@link proxyFor} finds in `env`, and
 * given up when they are slower than {@link readLeastRate} says.
 */
export function openDispatchers(options: ConnectionOptions, policy: Policy): Dispatchers {
	const dispatchers = new Map<string, Promise<Dispatcher>>();
	const judge = judgeAddresses(policy.refused, options.lookup);
	return {
		open: async (url, insecure, namedBy) => {
			const within = judge.lookupFor(url, namedBy);
			const setting = proxyFor(url, options.env);
			const proxy = setting === undefined ? undefined : parseProxy(setting, policy.failed);
			const key = `${insecure ? 'insecure' : 'verified'} ${proxy?.href ?? within.key}`;
			const dispatcher = dispatchers.get(key) ?? openDispatcher(options, insecure, proxy, within.lookup);
			dispatchers.set(key, dispatcher);
			return dispatcher;
		},
		close: async () => {
			await Promise.all([...dispatchers.values()].map(destroy));
		},
	};
}

async function destroy(opening: Promise<Dispatcher>): Promise<void> {
	const dispatcher = await opening.catch(() => undefined);
	await dispatcher?.destroy();
}

async function openDispatcher(
	options: ConnectionOptions,
	insecure: boolean,
	proxy: URL | undefined,
	lookup: LookupFunction,
): Promise<Dispatcher> {
	setFlagsFromString(`--wasm-tiering-budget=${PARSED_BEFORE_OPTIMISED}`);
	const { Agent, ProxyAgent } = await import('undici');
	const ca = await certificates(options.caBundle);
	const verification = { ...(ca === undefined ? {} : { ca }), ...(insecure ? { rejectUnauthorized: false } : {}) };
	const connect = { ...verification, timeout: CONNECT_TIMEOUT };
	// Over HTTP/2 all downloads would share one connection and the windows of a program, which are small where the way is long.
	const settings = { connect, connections: 16, maxHeaderSize: 64 * 1024, allowH2: false };
	const rate = requireRate(readLeastRate(options.env));
	if (proxy === undefined) return new Agent({ ...settings, connect: { ...connect, lookup } }).compose(rate);
	const proxyTls = { ...(ca === undefined ? {} : { ca }), timeout: CONNECT_TIMEOUT };
	const authorization = userOf(proxy);
	const token = authorization === undefined ? {} : { token: authorization };
	// Proxies let CONNECT through to port 443 only; plain HTTP goes to them with the whole URL (RFC 9112 3.2.2).
	return new ProxyAgent({
		...settings,
		uri: proxy.origin,
		...token,
		requestTls: connect,
		proxyTls,
		proxyTunnel: false,
	}).compose(rate);
}

/** As Go and curl read it: a host without a scheme is spoken to over http. */
function parseProxy({ name, value }: ProxySetting, failed: Policy['failed']): URL {
	const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
	if (URL.canParse(text) && /^https?:/i.test(text)) return new URL(text);
	throw new BuildError(failed, `the proxy in ${name} is not an http or https URL`, {
		hint: `Set ${name} to http://host:port, or unset it.`,
	});
}

async function certificates(caBundle: string | undefined): Promise<string[] | undefined> {
	if (caBundle === undefined) return undefined;
	try {
		const { rootCertificates } = await import('node:tls');
		return [...rootCertificates, (await readSmallFile(caBundle, MAX_BUNDLE)).toString('utf8')];
	} catch (error) {
		throw new BuildError('USAGE', `cannot read the CA bundle ${caBundle}: ${errnoOf(error) ?? messageOf(error)}`, {
			hint: 'Let --ca-bundle, SSL_CERT_FILE or NODE_EXTRA_CA_CERTS, whichever named it, lead to a PEM file that can be read, or unset it.',
			cause: error,
		});
	}
}
