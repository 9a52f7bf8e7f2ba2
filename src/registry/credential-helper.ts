import * as v from 'valibot';
import { resultOf } from '../end-group.js';
import { messageOf } from '../errors.js';
import { findProgram } from '../program.js';
import { redact } from '../redact.js';

/** What proves who we are to a registry. Never printed. */
export type Credentials =
	| { readonly type: 'basic'; readonly username: string; readonly password: string }
	| { readonly type: 'identity'; readonly token: string };

/** What a credential helper said. `problem` is why it said nothing useful, and undefined when it just has no entry. */
export interface HelperAnswer {
	readonly credentials: Credentials | undefined;
	readonly problem: string | undefined;
}

const TIMEOUT_MS = 30_000;
const MAX_OUTPUT = 64 * 1024;
/** A name with a slash would be a path (as in CVE-2021-41092, the file is not always the user's own work). */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
/** The user name that stands for an identity token (docker/docker-credential-helpers). */
const TOKEN_USER = '<token>';
const NOT_FOUND = /credentials not found/i;
const schema = v.object({ Username: v.string(), Secret: v.string() });

/**
 * Asks the program `docker-credential-<helper>` of PATH for the credentials of `server`, which goes to its standard input, as the
 * protocol of docker-credential-helpers has it. Never rejects but when `signal` is aborted: a helper that is missing, fails, hangs for
 * 30 s or talks nonsense is a problem to be told, and then nothing is known of the user.
 */
export async function askHelper(
	helper: string,
	server: string,
	env: Readonly<Record<string, string | undefined>>,
	signal: AbortSignal,
): Promise<HelperAnswer> {
	if (!NAME.test(helper))
		return failed(`the credential helper ${JSON.stringify(helper.slice(0, 50))} has an impossible name`);
	const name = `docker-credential-${helper}`;
	const program = findProgram(name, env['PATH']);
	if (program === undefined) return failed(`the credential helper ${name} is not installed`);
	const { execa } = await import('execa');
	signal.throwIfAborted();
	const options = { input: `${server}\n`, env: { ...env }, extendEnv: false, cwd: '/', reject: false } as const;
	const running = execa(program, ['get'], { ...options, detached: true, cleanup: false, maxBuffer: MAX_OUTPUT });
	const limit = AbortSignal.timeout(TIMEOUT_MS);
	const { stdout, exitCode, isMaxBuffer } = await resultOf(running, AbortSignal.any([signal, limit]));
	signal.throwIfAborted();
	if (limit.aborted && exitCode !== 0) return failed(`${name} gave no answer in ${TIMEOUT_MS / 1000} s`);
	if (isMaxBuffer) return failed(`${name} answered more than ${MAX_OUTPUT} bytes`);
	if (exitCode === 0) return readAnswer(name, stdout);
	if (NOT_FOUND.test(stdout)) return { credentials: undefined, problem: undefined };
	return failed(`${name} failed: ${redact(stdout).split('\n')[0]?.slice(0, 200) ?? ''}`);
}

function readAnswer(name: string, stdout: string): HelperAnswer {
	try {
		const { Username, Secret } = v.parse(schema, JSON.parse(stdout));
		if (Secret === '') return { credentials: undefined, problem: undefined };
		if (Username === TOKEN_USER) return { credentials: { type: 'identity', token: Secret }, problem: undefined };
		return { credentials: { type: 'basic', username: Username, password: Secret }, problem: undefined };
	} catch (error) {
		// The text itself may be the secret.
		return failed(
			`${name} gave an answer that is not its protocol's (${error instanceof SyntaxError ? 'no JSON' : messageOf(error)})`,
		);
	}
}

function failed(problem: string): HelperAnswer {
	return { credentials: undefined, problem };
}
