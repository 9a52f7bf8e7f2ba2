const LOOPBACK = /^(?:(?:.+\.)?localhost|127(?:\.[0-9]+){3}|\[::1\]|\[::ffff:7f[0-9a-f]{2}:[0-9a-f]+\])$/;

/** Whether `url` names this machine: localhost, 127.0.0.0/8, also mapped into IPv6, or ::1. */
export function isLoopback(url: URL): boolean {
	return LOOPBACK.test(hostOf(url));
}

/** Whether `url` names a link-local address, one of this machine's that {@link isLoopback} does not know, or cloud metadata. */
export function isLocalAddress(url: URL): boolean {
	const host = hostOf(url);
	if (host.startsWith('[')) return /^\[(?:fe[89ab]|::\]|::ffff:|fd00:ec2:)/.test(host);
	return /^(?:169\.254|0)\.[0-9.]+$/.test(host) || host === 'metadata.google.internal';
}

/** A trailing dot makes a name absolute, and leaves it the same name. */
function hostOf(url: URL): string {
	return url.hostname.toLowerCase().replace(/\.$/, '');
}
