/**
 * `text` without what must not be printed: user info and query strings of URLs (presigned storage URLs carry credentials
 * in the query), and control characters, which a registry could use to rewrite a terminal or forge a log line.
 */
export function redact(text: string): string {
	return stripControls(text).replace(
		/\b([a-z][a-z0-9+.-]{0,20}:\/\/)([^\s/?#@]*@)?([^\s?#]*)(\?[^\s#]*)?/gi,
		(_all, scheme: string, user: string | undefined, rest: string, query: string | undefined) =>
			`${scheme}${user === undefined ? '' : '[redacted]@'}${rest}${query === undefined ? '' : '?[redacted]'}`,
	);
}

/** `url` as text, without user info, query and fragment. */
export function redactUrl(url: URL): string {
	return `${url.protocol}//${url.host}${url.pathname}`;
}

function stripControls(text: string): string {
	return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '');
}
