import { readFile } from 'node:fs/promises';
import { rootCertificates } from 'node:tls';
import type { Dispatcher } from 'undici';
import { BuildError, type ErrorCode, errnoOf, messageOf } from '../errors.js';
import { isLoopback } from './address.js';

/** `caBundle` is the path of a PEM file that is trusted in addition; `unreachable` is the code of the error for an impossible proxy. */
export interface DispatcherOptions {
	/** Where proxies are looked up: `http_proxy`, `https_proxy`, `no_proxy` and their upper-case forms. */
	readonly env: Readonly<Record<string, string | undefined>>;
	readonly caBundle: string | undefined;
	readonly unreachable: ErrorCode;
}

/** The connections to all hosts. */
export interface Dispatchers {
	/** undici's dispatcher for `url`; `insecure` means that certificates are not verified. Throws USAGE for an unreadable CA bundle. */
	readonly open: (url: URL, insecure: boolean) => Promise<Dispatcher>;
	/** Ends all connections. */
	readonly close: () => Promise<void>;
}

const SECOND = 1000;
const CONNECT_TIMEOUT = 30 * SECOND;
/** How long a connection may be silent, in ms. */
export const IDLE_TIMEOUT: number = 60 * SECOND;

/** Connections by undici, which is loaded when the first is wanted: kept alive, through the proxies of `env` except to loopback. */
export function openDispatchers(options: DispatcherOptions): Dispatchers {
	const dispatchers = new Map<string, Promise<Dispatcher>>();
	return {
		open: async (url, insecure) => {
			const proxied = !isLoopback(url) && proxyOf(options, url.protocol) !== undefined;
			const key = `${insecure ? 'insecure' : 'verified'} ${proxied ? 'proxied' : 'direct'}`;
			const dispatcher = dispatchers.get(key) ?? openDispatcher(options, insecure, proxied);
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

async function openDispatcher(options: DispatcherOptions, insecure: boolean, proxied: boolean): Promise<Dispatcher> {
	const { Agent, EnvHttpProxyAgent } = await import('undici');
	const ca = await certificates(options.caBundle);
	const tls = { ...(ca === undefined ? {} : { ca }), ...(insecure ? { rejectUnauthorized: false } : {}) };
	const connect = { ...tls, timeout: CONNECT_TIMEOUT };
	const settings = { connect, connections: 16, maxHeaderSize: 64 * 1024 };
	if (!proxied) return new Agent(settings);
	return new EnvHttpProxyAgent({
		...settings,
		requestTls: connect,
		proxyTls: ca === undefined ? {} : { ca },
		proxyTunnel: false,
		httpProxy: proxyOf(options, 'http:') ?? '',
		httpsProxy: proxyOf(options, 'https:') ?? '',
		noProxy: options.env['no_proxy'] ?? options.env['NO_PROXY'] ?? '',
	});
}

function proxyOf({ env, unreachable }: DispatcherOptions, protocol: string): string | undefined {
	const name = protocol === 'https:' ? 'https_proxy' : 'http_proxy';
	const value = env[name] ?? env[name.toUpperCase()];
	if (value === undefined || value === '') return undefined;
	const proxy = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
	if (URL.canParse(proxy) && /^https?:/i.test(proxy)) return proxy;
	throw new BuildError(unreachable, `the proxy in ${name.toUpperCase()} is not an http or https URL`, {
		hint: `Set ${name.toUpperCase()} to http://host:port, or unset it.`,
	});
}

async function certificates(caBundle: string | undefined): Promise<string[] | undefined> {
	if (caBundle === undefined) return undefined;
	try {
		return [...rootCertificates, await readFile(caBundle, 'utf8')];
	} catch (error) {
		throw new BuildError('USAGE', `cannot read the CA bundle ${caBundle}: ${errnoOf(error) ?? messageOf(error)}`, {
			hint: 'Give the path of a PEM file that can be read.',
			cause: error,
		});
	}
}
