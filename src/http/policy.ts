import type { ErrorCode } from '../errors.js';

/** What a client calls its failures, and how far it lets servers lead it: a value for each kind of server that there is. */
export interface Policy {
	/** The code of errors for a server that gives no answer. */
	readonly failed: ErrorCode;
	/** The code of errors for where a server must not lead. */
	readonly refused: ErrorCode;
	readonly maxRedirects: number;
	/** Whether the wrong scheme for the same host, as misconfigured proxies send it, is corrected, and a host without a scheme is a host. */
	readonly repairs: boolean;
	/** What to do about a redirect that is refused, about too many of them, and about a certificate that is not trusted. */
	readonly hints: { readonly redirect: string; readonly circle: string; readonly tls: string };
}

/** For sources, scripts and callbacks. */
export const WEB: Policy = {
	failed: 'HTTP_FAILED',
	refused: 'HTTP_FAILED',
	maxRedirects: 5,
	repairs: false,
	hints: {
		redirect: 'Give the URL that it should have led to, or ask who runs the server to correct the redirect.',
		circle: 'Give the URL that it leads to in the end.',
		tls: 'Give the certificate authority with --ca-bundle.',
	},
};
