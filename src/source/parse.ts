import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import { parseRemote } from './remote.js';
import type { Source } from './source.js';

/** What the command line says about the source besides its location. */
export interface SourceOptions {
	readonly ref: string | undefined;
	/** Copy a local directory even when it is a git repository; no effect on remote repositories. */
	readonly copy: boolean;
}

/**
 * The source that `text` names: a git URL (http, https, ssh, git, git+ssh, file, or `host:path`), or a local directory, which is
 * cloned when it is a git repository and `copy` is off. A `#ref` counts when `ref` is absent. Looks at the local disk.
 * Throws SOURCE_INVALID for what git could take for an option or a command (CVE-2017-1000117), SOURCE_NOT_FOUND for a missing directory.
 */
export function parseSource(text: string, options: SourceOptions): Source {
	if (text === '' || text.startsWith('-') || text.includes('\0')) {
		throw new BuildError('SOURCE_INVALID', `not a source: ${quote(text)}`, {
			hint: 'Give a directory or a git URL; a directory whose name begins with a dash is written ./-name.',
		});
	}
	if (existsSync(text)) return localSource(text, options.ref, options);
	const at = text.indexOf('#');
	const location = at === -1 ? text : text.slice(0, at);
	const ref = options.ref ?? (at === -1 ? undefined : text.slice(at + 1) || undefined);
	const remote = parseRemote(location);
	if (remote === undefined) return localSource(location, ref, options);
	if (remote.protocol === 'file:') return localSource(filePath(location, remote), ref, options);
	return gitSource(location, ref, false);
}

function localSource(text: string, ref: string | undefined, options: SourceOptions): Source {
	const path = resolve(text);
	if (statSync(path, { throwIfNoEntry: false }) === undefined) throw notFound(text);
	if (!options.copy && isRepository(path)) return gitSource(path, ref, true);
	if (ref === undefined) return { type: 'directory', path };
	const why = options.copy ? 'is copied as it is (--copy)' : 'is not a git repository';
	throw new BuildError('SOURCE_INVALID', `there is no ref ${quote(ref)} to build: ${quote(text)} ${why}`, {
		hint: options.copy ? 'Leave out --ref or --copy.' : 'Leave out --ref.',
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
	return new BuildError('SOURCE_NOT_FOUND', `there is no directory ${quote(text)}`, {
		hint: looksRemote
			? `For a git repository write https://${redact(text)}.`
			: 'Give an existing directory or a git URL.',
	});
}

function quote(text: string): string {
	return JSON.stringify(redact(text).slice(0, 200));
}
