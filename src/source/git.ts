import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { resultOf } from '../end-group.js';
import { BuildError, errnoOf, isBuildError } from '../errors.js';
import { hostFault, noSpace } from '../host-fault.js';
import { redact } from '../redact.js';
import type { GitRemote } from './git-remote.js';

/** What one git command did. Both texts are as git wrote them, so `stderr` may hold secrets until {@link gitFailed} has cleaned it. */
export interface GitResult {
	readonly ok: boolean;
	readonly stdout: string;
	/** What `stdout` is the text of; names need not be UTF-8. */
	readonly bytes: Buffer;
	readonly stderr: string;
}

/**
 * Runs git with `args` in `cwd`, `input` on its standard input; resolves whatever its exit status, rejects when git cannot be started
 * or the signal aborts.
 */
export type Git = (cwd: string, args: readonly string[], input?: Buffer) => Promise<GitResult>;

/** The variables of the user. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Repositories are hostile: no hooks, no fsmonitor program, no transport programs (CVE-2017-1000117, CVE-2024-32002 and their
 * kind). The rest keeps results the same everywhere, and a dead connection from holding a build.
 */
const SETTINGS = [
	'protocol.ext.allow=never',
	'core.hooksPath=/dev/null',
	'core.fsmonitor=false',
	'core.autocrlf=false',
	'log.showSignature=false',
	'advice.detachedHead=false',
	'http.lowSpeedLimit=1',
	'http.lowSpeedTime=60',
];
/** What a hook or a CI job that runs inside of another repository leaves in the environment (git rev-parse --local-env-vars). */
const REPOSITORY_VARIABLES = [
	'GIT_DIR',
	'GIT_WORK_TREE',
	'GIT_IMPLICIT_WORK_TREE',
	'GIT_INDEX_FILE',
	'GIT_OBJECT_DIRECTORY',
	'GIT_ALTERNATE_OBJECT_DIRECTORIES',
	'GIT_QUARANTINE_PATH',
	'GIT_COMMON_DIR',
	'GIT_NAMESPACE',
	'GIT_PREFIX',
	'GIT_INTERNAL_SUPER_PREFIX',
	'GIT_TEMPLATE_DIR',
	'GIT_SHALLOW_FILE',
	'GIT_GRAFT_FILE',
	'GIT_REPLACE_REF_BASE',
	'GIT_ATTR_SOURCE',
	'GIT_DEFAULT_HASH',
	'GIT_CONFIG',
	'GIT_LITERAL_PATHSPECS',
	'GIT_GLOB_PATHSPECS',
	'GIT_NOGLOB_PATHSPECS',
	'GIT_ICASE_PATHSPECS',
];
const HELPER =
	'!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$S2OCI_GIT_USERNAME" "$S2OCI_GIT_PASSWORD"; }; f';
const MAX_OUTPUT = 512 * 1024 * 1024;
const TOO_LARGE = 'File too large';
/** What git and git-lfs say, and of which error; 25 is SIGXFSZ. */
const ROOM: readonly (readonly [RegExp, string])[] = [
	[/no space left on device|disk full/i, 'ENOSPC'],
	[/disk quota exceeded/i, 'EDQUOT'],
	[/file too large|died of signal 25|signal: file size limit exceeded/i, 'EFBIG'],
];
const UNWRITTEN =
	/(?:unable to|cannot|could not|failed to) (?:write|create|mkdir|copy|append)|write error|index-pack|unpack-objects|sha1 file/i;
/** Git removes the file that did not fit, so what is tried is larger than most. */
const ROOM_BYTES = 32 << 20;

/**
 * Git for one remote repository. The user's own configuration, ssh agent and credential helpers count; a password of the URL goes
 * to that origin only and never into an argument list. Nothing is ever asked on the terminal. `repository` are variables that say
 * which repository is meant; those of `env` never count. The calls throw SOURCE_GIT, HOST_NO_SPACE and HOST_LIMIT.
 */
export function openGit(remote: GitRemote, env: Environment, signal: AbortSignal, repository: Environment = {}): Git {
	const environment = { ...gitEnvironment(remote, env), ...repository };
	return async (cwd, args, input) => {
		const { execa } = await import('execa');
		signal.throwIfAborted();
		const settings = SETTINGS.flatMap((setting) => ['-c', setting]);
		const running = execa('git', [...settings, ...args], {
			cwd,
			env: environment,
			extendEnv: false,
			...(input === undefined ? { stdin: 'ignore' as const } : { input }),
			encoding: 'buffer',
			stripFinalNewline: false,
			reject: false,
			maxBuffer: MAX_OUTPUT,
			// The transport programs that git starts outlive it.
			detached: true,
		});
		const result = await resultOf(running, signal);
		signal.throwIfAborted();
		const fault = hostFault(result.cause);
		if (isBuildError(fault)) throw fault;
		if (result.failed && result.exitCode === undefined && result.signal === undefined) throw gitUnusable(result.cause);
		const bytes = Buffer.from(result.stdout);
		const stderr = Buffer.from(result.stderr).toString('utf8');
		if (result.failed) checkRoom(repository['GIT_DIR'] ?? cwd, result.signal === 'SIGXFSZ' ? TOO_LARGE : stderr);
		return { ok: !result.failed, stdout: bytes.toString('utf8'), bytes, stderr };
	};
}

/** Git names the reason only where it looked at it, and the disk tells of the rest. Throws HOST_NO_SPACE. */
function checkRoom(directory: string, stderr: string): void {
	const named = ROOM.find(([pattern]) => pattern.test(stderr))?.[1];
	const code = named ?? (UNWRITTEN.test(stderr) ? tryRoom(directory) : undefined);
	const error = Object.assign(new Error(redact(stderr).slice(-300)), { code });
	const full = noSpace(error, `the source, which git puts into ${directory}`);
	if (full !== undefined) throw full;
}

/** What the disk answers to a file in `directory`: neither a quota nor a limit on files is in what it says of its free space. */
function tryRoom(directory: string): string | undefined {
	if (directory === '/') return undefined;
	// A checkout may hold links of any name that can be foretold.
	const path = join(directory, `.s2oci-room-${randomUUID()}`);
	try {
		writeFileSync(path, Buffer.alloc(ROOM_BYTES), { flag: 'wx' });
		return undefined;
	} catch (error) {
		return errnoOf(error);
	} finally {
		rmSync(path, { force: true });
	}
}

/** SOURCE_GIT for a command that did `what`, with git's last words redacted and advice that fits them. */
export function gitFailed(what: string, result: GitResult, remote: GitRemote): BuildError {
	const secrets = [remote.password, remote.username].filter((secret) => secret !== undefined);
	const clean = secrets.reduce((text, secret) => text.replaceAll(secret, '[redacted]'), redact(result.stderr));
	const lines = clean
		.split('\n')
		.map((line) => line.trim().slice(0, 300))
		.filter((line) => line !== '');
	const message = `${what} failed: ${lines.slice(-4).join('; ') || 'git gave no reason'}`;
	return new BuildError('SOURCE_GIT', message, { hint: adviceFor(clean, remote) });
}

/** The first three of `names`, and how many more there are, for a message. */
export function nameSome(names: readonly string[]): string {
	const first = names.slice(0, 3).map((name) => redact(name).slice(0, 100));
	return `${first.join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`;
}

function gitEnvironment(remote: GitRemote, env: Environment): Record<string, string> {
	const kept = Object.entries(env).filter(
		(entry): entry is [string, string] => entry[1] !== undefined && !REPOSITORY_VARIABLES.includes(entry[0]),
	);
	return {
		...Object.fromEntries(kept),
		...credentialVariables(remote, Number(env['GIT_CONFIG_COUNT'] ?? 0) || 0),
		...(/^(?:file:|$)/.test(remote.origin) ? {} : { GIT_ALLOW_PROTOCOL: 'git:http:https:ssh' }),
		GIT_NO_REPLACE_OBJECTS: '1',
		GIT_TERMINAL_PROMPT: '0',
		LC_ALL: 'C',
		LANGUAGE: 'C',
	};
}

function credentialVariables(remote: GitRemote, count: number): Record<string, string> {
	const { origin, username, password } = remote;
	if (username === undefined && password === undefined) return {};
	const settings =
		password === undefined
			? [[`credential.${origin}.username`, username ?? '']]
			: [
					[`credential.${origin}.helper`, ''],
					[`credential.${origin}.helper`, HELPER],
				];
	const variables = settings.flatMap(([key = '', value = ''], index) => [
		[`GIT_CONFIG_KEY_${count + index}`, key],
		[`GIT_CONFIG_VALUE_${count + index}`, value],
	]);
	return {
		...(Object.fromEntries(variables) as Record<string, string>),
		GIT_CONFIG_COUNT: String(count + settings.length),
		...(password === undefined ? {} : { S2OCI_GIT_USERNAME: username ?? '', S2OCI_GIT_PASSWORD: password }),
	};
}

function adviceFor(stderr: string, remote: GitRemote): string {
	const advice: readonly (readonly [RegExp, string])[] = [
		[
			/dubious ownership/,
			`The repository belongs to another user: git config --global --add safe.directory ${JSON.stringify(remote.location)}.`,
		],
		[
			/smudge filter lfs|git-lfs|batch response/i,
			'The files of Git LFS could not be had: push them with git lfs push --all, or build the pointers with GIT_LFS_SKIP_SMUDGE=1.',
		],
		[
			/transport '?file'? not allowed/,
			'A submodule points to a local path; git allows that only with protocol.file.allow=always.',
		],
		[
			/could not read Username|Authentication failed|terminal prompts disabled|HTTP Basic|403|401/,
			'The repository wants credentials: put a token in the URL (https://user:token@host/…) or set up a git credential helper.',
		],
		[
			/Permission denied|Host key verification|publickey/,
			'Check the ssh key, the ssh agent and known_hosts of this job.',
		],
		[
			/Could not resolve host|Couldn't connect|Connection (?:refused|timed out)/i,
			'Check the host name, the network and the proxy settings.',
		],
		[/certificate/i, 'Give git the certificate authority: GIT_SSL_CAINFO=/path/to/ca.pem.'],
		[
			/not found|does not exist|does not appear to be a git repository/i,
			'Check the URL, and that this job may read the repository.',
		],
		[
			/pathspec|couldn't find remote ref|unknown revision|invalid reference/i,
			'Check --ref: a branch, a tag or a commit of this repository.',
		],
	];
	return advice.find(([pattern]) => pattern.test(stderr))?.[1] ?? 'Try the same with git clone to see all it says.';
}

function gitUnusable(cause: unknown): BuildError {
	return new BuildError('SOURCE_GIT', 'git could not be run, and the source is a git repository', {
		hint: 'Install git, or build a directory with --copy.',
		cause,
	});
}
