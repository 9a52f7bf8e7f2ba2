const SCHEME = '[a-z][a-z0-9+.-]{0,20}:\\/\\/';
/** Up to where the next one begins: a list of URLs need not have white space. */
const URLS = new RegExp(`\\b(${SCHEME})((?:(?!${SCHEME})\\S)*)`, 'gi');
/** Of a URL, also where slashes are missing or are backslashes. */
const LEAD = /^[a-z][a-z0-9+.-]{0,20}:[\\/]+/i;
/** A user with a password that goes on behind a blank; no port, and no address of IPv6. */
const BLANKS = new RegExp(
	`\\b(${SCHEME})(?!\\[)[^\\s/?#@:]*:(?!\\d{1,5}(?!\\w))(?:(?!${SCHEME})[^\\s@])+[ \\t](?:(?!${SCHEME})[^\\n])*@`,
	'gi',
);
/** What can only be a host: a name in a domain, an address. A single word, or one with a number behind it, may be a user with a password. */
const HOST = /^(?:\[[0-9a-f:.]+\]|localhost|[a-z0-9_-]+(?:\.[a-z0-9_-]+)+\.?)$/i;
/** Not the `@` of a digest. */
const AT = /@(?!sha(?:256|512):[0-9a-f]{16})/g;

/**
 * `text` without what must not be printed: user info and query strings of URLs (presigned storage URLs carry credentials
 * in the query), and control characters, which a registry could use to rewrite a terminal or forge a log line. People write passwords
 * with blanks, `@`, `/`, `?` and `#` that RFC 3986 has encoded, so user info ends at the last `@`, and rather a part of a path is hidden than
 * one of those shown.
 */
export function redact(text: string): string {
	return stripControls(text)
		.replace(BLANKS, '$1[redacted]@')
		.replace(URLS, (_all, scheme: string, rest: string) => `${scheme}${redactRest(rest)}`);
}

/**
 * `text`, all of which somebody typed in the place of one URL, image or path, as {@link redact} has it, and without what may be the password
 * of a mistyped URL: all before the last `@` when there is a colon in it. `git@host:path`, `name@1.2.3` and references with a digest stay.
 */
export function redactWord(text: string): string {
	const word = stripControls(text);
	const [lead = ''] = LEAD.exec(word) ?? [];
	const rest = word.slice(lead.length);
	const end = lastAt(rest) + 1;
	if (rest.slice(0, end).includes(':')) return `${lead}[redacted]@${hideQuery(rest.slice(end))}`;
	return lead === '' ? redact(word) : `${lead}${redactRest(rest)}`;
}

/** `url` as text, without user info, query and fragment. */
export function redactUrl(url: URL): string {
	return `${url.protocol}//${url.host}${url.pathname}`;
}

function redactRest(rest: string): string {
	const authority = rest.slice(0, endOf(rest, /[/?#\\]/));
	const end = HOST.test(authority) ? 0 : lastAt(rest) + 1;
	const shown = hideQuery(rest.slice(end));
	return end === 0 ? shown : `[redacted]@${shown}`;
}

function hideQuery(rest: string): string {
	return rest.replace(/^([^?#]*)\?[^#]*/, '$1?[redacted]');
}

function lastAt(text: string): number {
	return [...text.matchAll(AT)].at(-1)?.index ?? -1;
}

function endOf(text: string, mark: RegExp): number {
	const at = text.search(mark);
	return at === -1 ? text.length : at;
}

function stripControls(text: string): string {
	return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '');
}
