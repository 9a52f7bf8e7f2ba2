import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isBuildError } from '../../../src/errors.js';
import { redact } from '../../../src/redact.js';
import { isInside, parseContextDir } from '../../../src/source/context-dir.js';
import { splitRemote } from '../../../src/source/git-remote.js';
import { parseSource } from '../../../src/source/parse.js';
import { credentials, SPELLINGS } from '../../support/credentials.js';

const options = { ref: undefined, copy: false };
let root = '';

beforeAll(() => {
	root = mkdtempSync(join(tmpdir(), 's2oci-parse-'));
	for (const path of ['plain', 'git/.git', 'hash#tag', 'bare.git/objects', 'bare.git/refs', 'with space']) {
		mkdirSync(join(root, path), { recursive: true });
	}
	mkdirSync(join(root, 'worktree'));
	writeFileSync(join(root, 'worktree/.git'), 'gitdir: elsewhere');
	writeFileSync(join(root, 'bare.git/HEAD'), 'ref: refs/heads/main');
	for (const name of ['app.war', 'app.zip', 'app.TGZ', 'app.tar.xz', 'zip']) writeFileSync(join(root, name), '');
});

afterAll(() => {
	rmSync(root, { recursive: true, force: true });
});

test.each([
	['https://example.org/app.git', undefined],
	['http://example.org:8080/app', undefined],
	['ssh://git@example.org:22/app', undefined],
	['git://example.org/app', undefined],
	['git+ssh://example.org/app', undefined],
	['git@example.org:team/app.git', undefined],
	['example.org:team/app.git', undefined],
	['git@[::1]:team/app.git', undefined],
	['https://example.org/app.git#v1.0', 'v1.0'],
	['git@example.org:team/app.git#feature/x', 'feature/x'],
	['https://example.org/app.git#', undefined],
])('%s is a remote repository', (text, ref) => {
	const url = text.replace(/#.*/, '');
	expect(parseSource(text, options)).toEqual({ type: 'git', url, local: false, ...(ref === undefined ? {} : { ref }) });
});

test('--ref wins over #ref, and --copy has no effect on remote repositories', () => {
	expect(parseSource('https://example.org/a#b', { ref: 'c', copy: true })).toMatchObject({ type: 'git', ref: 'c' });
});

test('a directory is copied, a repository of any kind is cloned', () => {
	expect(parseSource(join(root, 'plain'), options)).toEqual({ type: 'directory', path: join(root, 'plain') });
	for (const name of ['git', 'worktree', 'bare.git']) {
		const url = join(root, name);
		expect(parseSource(url, options)).toEqual({ type: 'git', url, local: true });
		expect(parseSource(`file://${url}#v1`, options)).toEqual({ type: 'git', url, ref: 'v1', local: true });
		expect(parseSource(url, { ref: undefined, copy: true })).toEqual({ type: 'directory', path: url });
	}
	expect(parseSource(join(root, 'hash#tag'), options)).toMatchObject({ type: 'directory' });
	expect(parseSource(`file://${root}/with%20space`, options)).toMatchObject({ path: join(root, 'with space') });
});

test.each([
	['app.war', 'file'],
	['zip', 'file'],
	['app.zip', 'archive'],
	['app.TGZ', 'archive'],
	['app.tar.xz', 'archive'],
])('the local file %s is of type %s, also as a file URL', (name, type) => {
	const path = join(root, name);
	const source = type === 'file' ? { type, path } : { type, location: path, remote: false };
	expect(parseSource(path, options)).toEqual(source);
	expect(parseSource(`file://${path}`, options)).toEqual(source);
	expect(parseSource(path, { ref: undefined, copy: true })).toEqual(source);
});

test.each([
	['https://example.org/app.zip', 'archive'],
	['http://example.org/a/app.tar.gz?token=x', 'archive'],
	['https://github.com/o/r/archive/refs/heads/main.tar.gz', 'archive'],
	['https://example.org/app.tar.zst', 'archive'],
	['https://example.org/app.tar.git', 'git'],
	['https://example.org/zip', 'git'],
	['https://example.org/app?x=.zip', 'git'],
	['ssh://git@example.org/app.zip', 'git'],
	['git@example.org:app.tar.gz', 'git'],
])('%s is of type %s', (text, type) => {
	const source = type === 'git' ? { type, url: text, local: false } : { type, location: text, remote: true };
	expect(parseSource(text, options)).toEqual(source);
});

test('a dash is standard input, whatever is on disk', () => {
	expect(parseSource('-', options)).toEqual({ type: 'stdin' });
});

test('what is neither a directory nor a file, or cannot be looked at, is refused', () => {
	expect(() => parseSource('/dev/null', options)).toThrow(/is neither a directory nor a file/);
	expect(() => parseSource(`/${'n'.repeat(300)}`, options)).toThrow(
		expect.objectContaining({ code: 'SOURCE_NOT_FOUND' }) as Error,
	);
});

test.each(['-', 'app.zip', 'app.war', 'https://example.org/app.zip', 'https://example.org/app.zip#v1'])(
	'a ref of %s, which has none, is refused',
	(name) => {
		const text = name.startsWith('app') ? join(root, name) : name;
		const ref = name.includes('#') ? undefined : 'main';
		expect(() => parseSource(text, { ref, copy: false })).toThrow(/there is no ref "(?:main|v1)" to build: .* is an? /);
	},
);

test('a ref of what is not cloned is refused', () => {
	const path = join(root, 'git');
	expect(() => parseSource(path, { ref: 'main', copy: true })).toThrow(/is copied as it is \(--copy\)/);
	expect(() => parseSource(join(root, 'plain'), { ref: 'main', copy: false })).toThrow(/is not a git repository/);
});

test.each([
	'',
	'-x',
	'--upload-pack=touch /tmp/x',
	'ext::sh -c touch% /tmp/x',
	'fd::17',
	'foo::https://example.org/x',
	'ftp://example.org/x',
	'ssh://-oProxyCommand=touch/x',
	'ssh://%2doProxyCommand=touch/x',
	'ssh://-oProxyCommand=x@example.org/x',
	'git@-oProxyCommand=touch:x',
	'-oProxyCommand=touch@example.org:x',
	'example.org:-x',
	'ssh://git@github.com:org/repo',
	'https://example.org/a b',
	'https://example.org/a\n',
	'https://ada:pass%0aword@example.org/x',
	'https://example.org/%zz-',
	'file://host/path',
])('%j is refused before anything runs (CVE-2017-1000117 class)', (text) => {
	expect(() => {
		const source = parseSource(text, options);
		if (source.type === 'git') splitRemote(source.url);
	}).toThrow(expect.objectContaining({ code: 'SOURCE_INVALID' }) as Error);
});

test.each(['-x', '--upload-pack=x', '+main', 'a:b', 'a b', 'a..b', 'a\n', 'a*', 'a?', 'a[', 'a\\', '@{-1}', ''])(
	'the ref %j is refused',
	(ref) => {
		expect(() => parseSource('https://example.org/a', { ref, copy: false })).toThrow(
			expect.objectContaining({ code: 'SOURCE_INVALID' }) as Error,
		);
	},
);

test('a missing directory that looks like a repository gets the hint it needs', () => {
	expect(() => parseSource('github.com/foo/bar', options)).toThrow(
		expect.objectContaining({
			code: 'SOURCE_NOT_FOUND',
			hint: 'For a git repository write https://github.com/foo/bar.',
		}) as Error,
	);
	expect(() => parseSource('./nothing', options)).toThrow(
		expect.objectContaining({ code: 'SOURCE_NOT_FOUND' }) as Error,
	);
});

test('an ssh URL with a path for a port is explained', () => {
	expect(() => parseSource('ssh://git@github.com:org/repo', options)).toThrow(
		expect.objectContaining({ hint: 'Write ssh://git@github.com/org/repo' }) as Error,
	);
});

test.each([
	[
		'https://ada:s3cret%21@example.org:8443/a.git?x=1',
		{
			url: 'https://example.org:8443/a.git?x=1',
			location: 'https://example.org:8443/a.git',
			origin: 'https://example.org:8443',
			username: 'ada',
			password: 's3cret!',
		},
	],
	['https://token@example.org/a', { url: 'https://example.org/a', username: 'token', password: undefined }],
	[
		'ssh://git:s3cret@example.org/a',
		{ url: 'ssh://git@example.org/a', location: 'ssh://git@example.org/a', password: undefined },
	],
	[
		'git@example.org:a/b.git',
		{ url: 'git@example.org:a/b.git', location: 'git@example.org:a/b.git', username: undefined },
	],
])('%s is split into what git may see and what is secret', (text, remote) => {
	expect(splitRemote(text)).toMatchObject(remote);
});

test('no password is ever in the URL or the location', () => {
	const secret = fc.stringMatching(/^[A-Za-z0-9]{12,20}$/);
	fc.assert(
		fc.property(secret, fc.constantFrom('https', 'http', 'ssh', 'git+ssh'), (password, scheme) => {
			const { url, location } = splitRemote(
				`${scheme}://ada:${password}@example.org/app.git?token=${password}#${password}`,
			);
			expect(location).not.toContain(password);
			expect(url.replace(/[?#].*/, '')).not.toContain(password);
		}),
	);
});

test('no source text makes anything but a source or a BuildError', () => {
	fc.assert(
		fc.property(fc.oneof(fc.string(), fc.webUrl()), (text) => {
			try {
				expect(['git', 'directory', 'file', 'archive', 'stdin']).toContain(parseSource(text, options).type);
			} catch (error) {
				if (!isBuildError(error, 'SOURCE_INVALID', 'SOURCE_NOT_FOUND')) throw error;
			}
		}),
	);
});

test.each([
	[undefined, ''],
	['', ''],
	['.', ''],
	['/', ''],
	['web/', 'web'],
	['/a//./b', 'a/b'],
	['..a', '..a'],
])('the context directory %j is %j', (text, expected) => {
	expect(parseContextDir(text)).toBe(expected);
});

test.each(['..', 'a/..', 'a/../../b', '../x', 'a\0'])('the context directory %j is refused', (text) => {
	expect(() => parseContextDir(text)).toThrow(expect.objectContaining({ code: 'SOURCE_INVALID' }) as Error);
});

test.each([
	['/a/b', '/a', true],
	['/a', '/a', true],
	['/ab', '/a', false],
	['/', '/a', false],
	['/a/..b', '/a', true],
])('%s is inside %s: %s', (path, directory, expected) => {
	expect(isInside(path, directory)).toBe(expected);
});

test('no spelling of a source with a password shows it, or has git told of it', () => {
	fc.assert(
		fc.property(fc.constantFrom(...SPELLINGS), credentials(), (spell, [user, password]) => {
			const secret = (text: string) => expect(redact(text)).not.toContain(password);
			try {
				const source = parseSource(spell(user, password), options);
				if (source.type !== 'git') return;
				const { url, location } = splitRemote(source.url);
				for (const text of [url, location, source.ref ?? '']) secret(text);
				const isPort = /^\d{1,5}[/?#]/.test(password);
				if (!isPort) for (const text of [url, decodeURIComponent(location)]) expect(text).not.toContain(password);
			} catch (error) {
				if (!isBuildError(error)) throw error;
				secret(error.message);
				secret(error.hint ?? '');
			}
		}),
		{ numRuns: 3000 },
	);
});

test.each([
	'user:PW@host:path',
	'user:PW@host/team/app.git',
	'https:/user:PW@host/app.git',
	'http:\\\\user:PW@host/app.git',
	'http://user:0\\PW@host/app.git',
	'ada@example.org:PW@host/app.git',
	'git@example.org:team/app@2.git',
])('%s could make a password an argument of ssh, and is refused', (text) => {
	const hint = expect.stringContaining('https://user:token@host/path') as string;
	expect(() => parseSource(text, options)).toThrow(expect.objectContaining({ code: 'SOURCE_INVALID', hint }) as Error);
});

test.each([':\\', ':@/', ':#', ':'])(
	'what could be user info costs no more than its length: %j, many times',
	(part) => {
		const runs = part.split('').map((mark) => ':'.repeat(50_000) + mark.repeat(50_000));
		const began = performance.now();
		for (const text of [part.repeat(50_000), ...runs]) {
			try {
				parseSource(`https://${text}@x`, options);
			} catch (error) {
				if (!isBuildError(error)) throw error;
			}
		}
		expect(performance.now() - began).toBeLessThan(5000);
	},
);
