import { existsSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BuildError, errnoOf } from '../errors.js';
import { absolutePath } from '../host-path.js';
import { redactWord } from '../redact.js';
import { checkUserInfo, parseRemote } from './git-remote.js';
import type { Source } from './source.js';

/** What the command line says about the source besides its location. */
export interface SourceOptions {
	readonly ref: string | undefined;
	/** Copy a local directory even when it is a git repository; no effect on remote repositories. */
	readonly copy: boolean;
}

const ARCHIVE_NAME = /\.(?:zip|tar|tgz|tzst|tbz2?|txz|tar\.(?:gz|zst|bz2|xz))$/i;

/**
 * The source that `text` names: `-` for an archive on standard input, a git URL (http, https, ssh, git, git+ssh, file, or
 * `host:path`), an http(s) URL or file whose name ends like an archive's, a single file, or a directory, which is cloned when it is
 * a git repository and `copy` is off. A `#ref` counts when `ref` is absent. Looks at the local disk.
 * Throws SOURCE_INVALID for what git could take for an option or a command (CVE-2017-1000117), SOURCE_NOT_FOUND for a missing path.
 */
export function parseSource(text: string, options: SourceOptions): Source {
	if (text === '-') return plain({ type: 'stdin' }, options.ref, 'standard input is an archive');
	if (text === '' || text.startsWith('-') || text.includes('\0')) {
		throw new BuildError('SOURCE_INVALID', `not a source: ${quote(text)}`, {
			hint: 'Give a directory, an archive, a git URL, or - for a tar on standard input; a name that begins with a dash is written ./-name.',
		});
	}
	if (existsSync(text)) return localSource(text, options.ref, options);
	checkUserInfo(text);
	const { location, ref } = splitRef(text, options.ref);
	const remote = parseRemote(location);
	if (remote === undefined) return localSource(location, ref, options);
	if (remote.protocol === 'file:') return localSource(filePath(location, remote), ref, options);
	if (!/^https?:$/.test(remote.protocol) || !ARCHIVE_NAME.test(remote.pathname)) return gitSource(location, ref, false);
	return plain({ type: 'archive', location, remote: true }, ref, `${quote(location)} is an archive`);
}

function splitRef(
	text: string,
	ref: string | undefined,
): { readonly location: string; readonly ref: string | undefined } {
	const at = text.indexOf('#');
	if (at === -1) return { location: text, ref };
	return { location: text.slice(0, at), ref: ref ?? (text.slice(at + 1) || undefined) };
}

function localSource(text: string, ref: string | undefined, options: SourceOptions): Source {
	const path = absolutePath(text);
	const stat = statPath(path, text);
	if (stat.isFile()) {
		const isArchive = ARCHIVE_NAME.test(path);
		const source: Source = isArchive ? { type: 'archive', location: path, remote: false } : { type: 'file', path };
		return plain(source, ref, `${quote(text)} is ${isArchive ? 'an archive' : 'a file'}`);
	}
	if (!stat.isDirectory()) {
		throw new BuildError('SOURCE_INVALID', `the source ${quote(text)} is neither a directory nor a file`, {
			hint: 'Give a directory, a file or a git URL; pipe a tar to standard input and name the source -.',
		});
	}
	if (!options.copy && isRepository(path)) return gitSource(path, ref, true);
	const why = options.copy ? 'is copied as it is (--copy)' : 'is not a git repository';
	return plain({ type: 'directory', path }, ref, `${quote(text)} ${why}`, options.copy ? '--ref or --copy' : '--ref');
}

function statPath(path: string, text: string): Stats {
	try {
		return statSync(path);
	} catch (cause) {
		const errno = errnoOf(cause) ?? '';
		if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(errno)) throw notFound(text);
		throw new BuildError('SOURCE_INVALID', `the source ${quote(text)} cannot be read: ${errno}`, {
			hint: 'Check the permissions of the path and of what is above it.',
			cause,
		});
	}
}

/** `source`, which has no refs. */
function plain(source: Source, ref: string | undefined, why: string, remedy = '--ref'): Source {
	if (ref === undefined) return source;
	throw new BuildError('SOURCE_INVALID', `there is no ref ${quote(ref)} to build: ${why}`, {
		hint: `Leave out ${remedy}.`,
	});
}

function gitSource(url: string, ref: string | undefined, local: boolean): Source {
	return ref === undefined ? { type: 'git', url, local } : { type: 'git', url, ref: checkRef(ref), local };
}

/** A `.git` directory, the `.git` file of a worktree or submodule, or a bare repository. */
function isRepository(path: string): boolean {
	return existsSync(join(path, '.git')) || ['HEAD', 'objects', 'refs'].every((name) => existsSync(join(path, name)));
}

/** A ref is an argument of git, and a `:` in it would make it a refspec, which writes. */
function checkRef(ref: string): string {
	if (ref !== '' && !/^[-+]|[\0- :?*[\\\x7f]|\.\.|@\{/.test(ref)) return ref;
	throw new BuildError('SOURCE_INVALID', `not a git ref: ${quote(ref)}`, {
		hint: 'Give a branch, a tag or a commit id.',
	});
}

function filePath(text: string, url: URL): string {
	if (url.host === '') return fileURLToPath(url);
	throw new BuildError('SOURCE_INVALID', `a file URL must not name a host: ${quote(text)}`, {
		hint: 'Write file:///absolute/path, with three slashes, or just the path.',
	});
}

function notFound(text: string): BuildError {
	const looksRemote = /^[a-z0-9-]+(?:\.[a-z0-9-]+)+\/[^/]+\/[^/]/i.test(text);
	return new BuildError('SOURCE_NOT_FOUND', `there is no file or directory ${quote(text)}`, {
		hint: looksRemote
			? `For a git repository write https://${redactWord(text)}.`
			: 'Give an existing directory or file, or a git URL.',
	});
}

function quote(text: string): string {
	return JSON.stringify(redactWord(text).slice(0, 200));
}
