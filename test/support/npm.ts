import { execFileSync } from 'node:child_process';

/** What this host needs to reach the npm registry: proxies and certificate authorities. */
export function networkSettings(): Readonly<Record<string, string>> {
	const names = /^(SSL_CERT_FILE|NODE_EXTRA_CA_CERTS|(https?|no|all)_proxy)$/i;
	return Object.fromEntries(
		Object.entries(process.env).flatMap(([name, value]) => (names.test(name) && value ? [[name, value]] : [])),
	);
}

/** The npm registry that this host is set up for; a sandboxed npm does not see its configuration. */
export function npmRegistry(): string | undefined {
	const registry = execFileSync('npm', ['config', 'get', 'registry'], {
		encoding: 'utf8',
		stdio: ['ignore', 'pipe', 'ignore'],
	}).trim();
	return registry.startsWith('http') ? registry : undefined;
}
