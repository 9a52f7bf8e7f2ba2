import { BuildError } from '../errors.js';
import { redactWord } from '../redact.js';

const SCHEMES = ['http:', 'https:', 'ssh:', 'git:', 'git+ssh:', 'file:'];
const SCP = /^(?:([^\s/:@]+)@)?(\[[0-9a-f:.]+\]|[^\s/:@[\]]+):(.+)$/i;

const MISTYPED =
	'Write https://user:token@host/path, with %40, %2F, %5C, %3F, %23 for @, /, \\, ?, # in the token or the path; for ssh, host:path or user@host:path. A ref with an @ in it is named by --ref.';

/** What a git command is told about a remote repository: the URL without secrets, and the secrets apart from it. */
export interface GitRemote {
	/** Has a user name at most for ssh, and never a password. */
	readonly url: string;
	/** For labels and messages: no user info but the user name of ssh, no query, no fragment. */
	readonly location: string;
	readonly origin: string;
	readonly username: string | undefined;
	readonly password: string | undefined;
}

/**
 * `text` as a URL, `host:path` in its ssh form; undefined when it is a path. Throws SOURCE_INVALID for schemes that git would run
 * programs for (`ext::`), and for hosts and user names that ssh could take for options (CVE-2017-1000117).
 */
export function parseRemote(text: string): URL | undefined {
	if (/^[\w.+-]*::/.test(text)) {
		throw remoteInvalid(text, 'names a git transport program', 'Use an https or ssh URL.');
	}
	const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? parseUrl(text) : parseScp(text);
	if (url === undefined) return undefined;
	if (/[\0-\x20\x7f]/.test(text))
		throw remoteInvalid(text.trim(), 'holds blanks or control characters', 'Write %20 for a blank.');
	if (!SCHEMES.includes(url.protocol)) {
		throw remoteInvalid(text, `has the scheme ${url.protocol}`, `Use one of ${SCHEMES.join(' ')}`);
	}
	if ([url.hostname, url.username, url.pathname.slice(1)].some((part) => decode(part, text).startsWith('-'))) {
		throw remoteInvalid(text, 'could be taken for an option', 'No part of a git URL may begin with a dash.');
	}
	return url;
}

/**
 * Throws SOURCE_INVALID for a `text` that means one thing to who typed it and another to a parser of URLs, which would take a part of the
 * password for host, path, query or ref: user info has a colon that is not that of a port, and marks of a URL before its last `@`.
 */
export function checkUserInfo(text: string): void {
	const rest = text.replace(/^[a-z][a-z0-9+.-]*:\/\//i, '');
	const last = rest.lastIndexOf('@');
	const isUnclear = [endsInPath(rest, last), endsInRef(rest, last), endsBehindBackslash(rest, last)].some(Boolean);
	if (!isUnclear) return;
	throw remoteInvalid(text, 'could have a password with @, /, \\, ? or # in it', MISTYPED);
}

/** Whether a mark of a URL follows `user:`, or `user:word@word`, before the `last` at sign of `rest`. Of one pass, as are the others. */
function endsInPath(rest: string, last: number): boolean {
	const mark = rest.search(/[\\/?#]/);
	if (mark === -1 || mark > last) return false;
	const before = rest.slice(0, mark);
	const colon = before.indexOf(':');
	return before.endsWith(':') || (colon !== -1 && before.lastIndexOf('@') > colon);
}

/** Whether a `#` stands where a password would be, and what precedes it is no port. */
function endsInRef(rest: string, last: number): boolean {
	const mark = rest.indexOf('#');
	if (mark === -1 || mark > last) return false;
	return !rest.slice(0, mark).includes('@') && /:(?!\d{1,5}[/#])/.test(rest.slice(0, mark + 1));
}

/** What follows a backslash is path to a browser and host to git. */
function endsBehindBackslash(rest: string, last: number): boolean {
	const authority = rest.slice(0, rest.search(/[/?#]|$/));
	const colon = authority.indexOf(':');
	const mark = authority.indexOf('\\', colon);
	return colon !== -1 && mark !== -1 && mark < last;
}

/** How git is told about the remote repository `text`, which {@link parseRemote} has accepted. */
export function splitRemote(text: string): GitRemote {
	const url = parseRemote(text);
	if (url === undefined) return { url: text, location: text, origin: '', username: undefined, password: undefined };
	const isWeb = url.protocol === 'http:' || url.protocol === 'https:';
	const isScp = !text.includes('://');
	const bare = new URL(url);
	bare.password = '';
	if (isWeb) bare.username = '';
	return {
		url: isScp ? text : bare.href,
		location: isScp ? text : locationOf(text, url),
		origin: `${url.protocol}//${url.host}`,
		username: isWeb ? decode(url.username, text) || undefined : undefined,
		password: isWeb ? decode(url.password, text) || undefined : undefined,
	};
}

/** As it was typed, like S2I, unless the URL means something else without its secrets. */
function locationOf(text: string, url: URL): string {
	const plain = `${url.protocol}//${sshUser(url)}${url.host}${url.pathname}`;
	const [, path = ''] = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#]*@)?([^?#]*)/i.exec(text) ?? [];
	const typed = `${url.protocol}//${sshUser(url)}${path}`;
	return URL.canParse(typed) && new URL(typed).href === new URL(plain).href ? typed : plain;
}

/** How git is told about the repository `path` of this host. */
export function localRemote(path: string): GitRemote {
	return { url: path, location: path, origin: '', username: undefined, password: undefined };
}

/** Who one is to a host of git repositories is part of the address there, and no secret. */
function sshUser({ protocol, username }: URL): string {
	return protocol.endsWith('ssh:') && username !== '' ? `${username}@` : '';
}

function parseUrl(text: string): URL {
	checkUserInfo(text);
	try {
		return new URL(text);
	} catch (cause) {
		const scp = /^ssh:\/\/([^/]+):(?!\d+\/)(.+)$/.exec(text);
		const hint =
			scp === null || scp[2]?.includes('@') !== false
				? 'Check its host and port.'
				: `Write ssh://${redactHost(scp[1])}/${scp[2]}`;
		throw remoteInvalid(text, 'is not a valid URL', hint, cause);
	}
}

/**
 * `user@host:path` is what git reads as ssh as long as no slash precedes the colon. A path with an `@` is what a mistyped URL with a
 * password looks like, which would be an argument of git and ssh. Throws SOURCE_INVALID.
 */
function parseScp(text: string): URL | undefined {
	const match = SCP.exec(text);
	if (match === null) return undefined;
	const [, user, host = '', path = ''] = match;
	if (path.includes('@')) throw remoteInvalid(text, 'may hold a password, and ssh takes none in host:path', MISTYPED);
	const safePath = path.replace(/^\//, '').replace(/[?#%]/g, encodeURIComponent);
	return parseUrl(`ssh://${user === undefined ? '' : `${encodeURIComponent(user)}@`}${host}/${safePath}`);
}

/** A line break in a decoded part would add lines to git's credential protocol (CVE-2020-5260). */
function decode(part: string, text: string): string {
	let decoded: string;
	try {
		decoded = decodeURIComponent(part);
	} catch (cause) {
		throw remoteInvalid(text, 'has a broken percent escape', 'Write %25 for a percent sign.', cause);
	}
	if (/[\0-\x1f\x7f]/.test(decoded)) throw remoteInvalid(text, 'holds an escaped control character', 'Remove it.');
	return decoded;
}

function redactHost(authority = ''): string {
	return authority.replace(/:.*@/s, '@');
}

function remoteInvalid(text: string, problem: string, hint: string, cause?: unknown): BuildError {
	return new BuildError('SOURCE_INVALID', `the source ${JSON.stringify(redactWord(text).slice(0, 200))} ${problem}`, {
		hint,
		cause,
	});
}
