import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { onTestFinished } from 'vitest';
import { fetchSource } from '../../../src/source/fetch.js';
import { parseSource } from '../../../src/source/parse.js';
import type { FetchOptions, SourceInfo } from '../../../src/source/source.js';
import { removeTree } from '../../support/fs.js';
import { type TarMember, tarOf } from '../../support/tar.js';

/** An environment in which git knows no configuration but its own, with fixed names and times. */
export const GIT_ENV: Readonly<Record<string, string>> = {
	PATH: process.env['PATH'] ?? '',
	HOME: '/nonexistent',
	GIT_CONFIG_GLOBAL: '/dev/null',
	GIT_CONFIG_SYSTEM: '/dev/null',
	GIT_AUTHOR_NAME: 'Ada',
	GIT_AUTHOR_EMAIL: 'ada@example.org',
	GIT_COMMITTER_NAME: 'Ada',
	GIT_COMMITTER_EMAIL: 'ada@example.org',
	GIT_AUTHOR_DATE: '2024-05-06T07:08:09+02:00',
	GIT_COMMITTER_DATE: '2024-05-06T07:08:10+02:00',
};

/** A directory that is gone after the test. */
export function temporaryDirectory(): string {
	const path = mkdtempSync(join(tmpdir(), 's2oci-test-'));
	onTestFinished(() => {
		removeTree(path);
	});
	return path;
}

/** Writes `files` below `root`, parents included. */
export function writeFiles(root: string, files: Readonly<Record<string, string>>): void {
	for (const [path, text] of Object.entries(files)) {
		mkdirSync(dirname(join(root, path)), { recursive: true });
		writeFileSync(join(root, path), text);
	}
}

/** Runs git in `cwd`; its output, trimmed. */
export function git(cwd: string, ...args: readonly string[]): string {
	const settings = ['-c', 'protocol.file.allow=always', '-c', 'init.defaultBranch=main'];
	return execFileSync('git', [...settings, ...args], { cwd, env: GIT_ENV, encoding: 'utf8' }).trim();
}

/** A git repository with one commit that holds `files`. */
export function makeRepository(files: Readonly<Record<string, string>>): string {
	const path = temporaryDirectory();
	git(path, 'init', '--quiet');
	commit(path, files, 'First');
	return path;
}

/** Adds `files` to the repository as a commit; its id. */
export function commit(path: string, files: Readonly<Record<string, string>>, message: string): string {
	writeFiles(path, files);
	git(path, 'add', '--all');
	git(path, 'commit', '--quiet', '--allow-empty', '-m', message);
	return git(path, 'rev-parse', 'HEAD');
}

/** Options that ask for nothing special; nothing is on standard input, and nothing may be asked for over HTTP. */
export const PLAIN: Omit<FetchOptions, 'destination'> = {
	contextDir: undefined,
	emitNotice: () => undefined,
	env: GIT_ENV,
	keepSymlinks: false,
	ignoreSubmodules: false,
	exclude: undefined,
	stdin: Readable.from([]),
	http: { get: () => Promise.reject(new Error('no HTTP is expected')) },
};

/** What a fetch left and told. */
export interface Fetched {
	readonly path: string;
	readonly work: string;
	readonly info: SourceInfo;
	readonly notices: readonly string[];
}

/** Fetches `text` as the command line names it. */
export async function fetch(
	text: string,
	options: Partial<FetchOptions> & { readonly ref?: string; readonly copy?: boolean } = {},
	signal: AbortSignal = AbortSignal.timeout(50_000),
): Promise<Fetched> {
	const work = temporaryDirectory();
	const destination = join(work, 'src');
	mkdirSync(destination);
	const notices: string[] = [];
	const source = parseSource(text, { ref: options.ref, copy: options.copy ?? false });
	const info = await fetchSource(
		source,
		{
			destination,
			...PLAIN,
			emitNotice: (message) => notices.push(message),
			...options,
		},
		signal,
	);
	return { path: options.destination ?? destination, work, info, notices };
}

/** What a tar of `members` becomes. */
export async function unpacked(
	members: readonly TarMember[],
	options: Parameters<typeof fetch>[1] = {},
): ReturnType<typeof fetch> {
	return fetch('-', { ...options, stdin: Readable.from([tarOf(members)]) });
}
