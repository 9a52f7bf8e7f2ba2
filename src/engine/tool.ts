import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Options } from 'execa';
import { endWithGroup, resultOf } from '../end-group.js';
import { BuildError } from '../errors.js';
import { findProgram } from '../program.js';
import { redact } from '../redact.js';

/** The environment of the user, in which the tools find their socket, their store and their settings. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The command line tool of a local engine. */
export interface Tool {
	readonly name: 'podman' | 'docker';
	/** Absolute path. */
	readonly program: string;
	readonly env: Environment;
}

/** What a command printed, and whether it ended with 0. `stderr` is its end, not redacted. */
export interface Finished {
	readonly ok: boolean;
	readonly stdout: string;
	readonly stderr: string;
}

const MAX_OUTPUT = 16 * 1024 * 1024;
const MAX_STDERR = 8 * 1024;

/** The tool `name` of PATH; for podman also the one that only talks to a socket. Throws ENGINE_UNAVAILABLE when it is missing. */
export function findTool(name: Tool['name'], env: Environment): Tool {
	const names = name === 'podman' ? ['podman', 'podman-remote'] : ['docker'];
	const [program] = names.flatMap((each) => findProgram(each, env['PATH']) ?? []);
	if (program === undefined) throw toolMissing(name);
	return { name, program, env };
}

/** Runs a command that answers with a text, within `timeoutMs` when there is one. Rejects when aborted only. */
export async function ask(
	tool: Tool,
	args: readonly string[],
	signal: AbortSignal,
	timeoutMs?: number,
): Promise<Finished> {
	const { execa } = await import('execa');
	signal.throwIfAborted();
	const running = execa(tool.program, args, { ...optionsOf(tool), stdin: 'ignore', maxBuffer: MAX_OUTPUT });
	const limit = timeoutMs === undefined ? [] : [AbortSignal.timeout(timeoutMs)];
	const { stdout, stderr, exitCode } = await resultOf(running, AbortSignal.any([signal, ...limit]));
	signal.throwIfAborted();
	return { ok: exitCode === 0, stdout, stderr: stderr.slice(-MAX_STDERR) };
}

/** What a command writes, as a stream that fails with ENGINE_FAILED or ENGINE_UNAVAILABLE instead of ending when the command fails. */
export async function readFrom(tool: Tool, args: readonly string[], signal: AbortSignal): Promise<Readable> {
	const { execa } = await import('execa');
	signal.throwIfAborted();
	const running = execa(tool.program, args, { ...optionsOf(tool), stdin: 'ignore', buffer: false });
	const group = endWithGroup(running, signal);
	const complaint = tailOf(running.stderr);
	const chunks = async function* () {
		try {
			yield* running.stdout as AsyncIterable<Uint8Array>;
			const { exitCode } = await running;
			signal.throwIfAborted();
			if (exitCode !== 0) throw toolFailed(tool.name, args, complaint());
		} catch (error) {
			signal.throwIfAborted();
			throw error;
		} finally {
			group[Symbol.dispose]();
			if (running.exitCode === null) group.end();
		}
	};
	return Readable.from(chunks(), { objectMode: false });
}

/**
 * Gives `input` to a command. When `input` fails, the command is ended before it could take the part for the whole, and that failure is
 * thrown; else ENGINE_FAILED or ENGINE_UNAVAILABLE when the command fails.
 */
export async function writeTo(
	tool: Tool,
	args: readonly string[],
	input: Readable,
	signal: AbortSignal,
): Promise<void> {
	const { execa } = await import('execa');
	signal.throwIfAborted();
	const running = execa(tool.program, args, { ...optionsOf(tool), stdin: 'pipe', buffer: false });
	using group = endWithGroup(running, signal);
	const complaint = tailOf(running.stderr);
	running.stdout.resume();
	let broken: Error | undefined;
	input.once('error', (error: Error) => {
		broken = error;
		group.end();
	});
	// A command that ends early closes its input; what it says of that is the better message.
	const writing = pipeline(input, running.stdin).catch((error: unknown) => error);
	const [{ exitCode }, unwritten] = await Promise.all([running, writing]);
	signal.throwIfAborted();
	if (broken !== undefined && !isPipe(broken)) throw broken;
	if (exitCode !== 0) throw toolFailed(tool.name, args, complaint());
	if (unwritten !== undefined) throw toolFailed(tool.name, args, 'it did not read the whole image');
}

function optionsOf({ env }: Tool) {
	return {
		env: { ...env },
		extendEnv: false,
		cwd: workingDirectory(),
		reject: false,
		// Its handler of signals would end us before we have told of it and cleaned up.
		cleanup: false,
		// A tool may be a script, whose programs would outlive it.
		detached: true,
	} as const satisfies Options;
}

/** A working directory that was removed keeps nobody from reading an image. */
function workingDirectory(): string {
	try {
		return process.cwd();
	} catch {
		return '/';
	}
}

function tailOf(stream: Readable): () => string {
	let tail = '';
	stream.on('data', (chunk: Buffer) => {
		tail = (tail + chunk.toString('utf8')).slice(-MAX_STDERR);
	});
	return () => tail;
}

function isPipe(error: unknown): boolean {
	return (
		error instanceof Error && 'code' in error && (error.code === 'EPIPE' || error.code === 'ERR_STREAM_PREMATURE_CLOSE')
	);
}

type ToolName = 'podman' | 'docker';

const OTHER_WAYS = 'or push to a registry, or write a file with oci:DIR, which need no engine';
const NO_ANSWER =
	/cannot connect to|is the docker daemon running|connection refused|unable to connect|no such host|dial (?:unix|tcp)|error during connect/i;
const DENIED = /permission denied/i;
const NO_IMAGE = /no such image|image not known|no such object|unable to find|not found: no image/i;

/** ENGINE_UNAVAILABLE for a tool that is not installed. */
function toolMissing(tool: ToolName): BuildError {
	return new BuildError('ENGINE_UNAVAILABLE', `there is no program ${tool} in PATH`, {
		hint: `Install ${tool}, ${OTHER_WAYS}.`,
	});
}

/** Whether the tool says in `stderr` that it has no such image, and not that something is wrong. */
export function saysNoImage(stderr: string): boolean {
	return NO_IMAGE.test(stderr) && !NO_ANSWER.test(stderr);
}

/** ENGINE_UNAVAILABLE when `stderr` says that the engine behind the tool cannot be reached, else ENGINE_FAILED. */
export function toolFailed(tool: ToolName, args: readonly string[], stderr: string): BuildError {
	const said = lastLines(stderr);
	const reason = said === '' ? 'it said nothing' : said;
	if (NO_ANSWER.test(stderr)) {
		const message = `${tool} does not reach its engine: ${reason}`;
		return new BuildError('ENGINE_UNAVAILABLE', message, { hint: reachHint(tool, DENIED.test(stderr)) });
	}
	const words = args.slice(0, 2).filter((arg) => /^[a-z]+$/.test(arg));
	return new BuildError('ENGINE_FAILED', `${tool} ${words.join(' ')} failed: ${reason}`, {
		hint: `Try \`${tool} images\` as the same user; if that works, look at the free space of the engine's store.`,
	});
}

/** ENGINE_NO_IMAGE for a name that the engine's store does not have. */
export function noImage(tool: ToolName, name: string): BuildError {
	return new BuildError('ENGINE_NO_IMAGE', `${tool} has no image ${name}`, {
		hint: `\`${tool} images\` lists what this user's store has; for an image on a registry, leave the prefix out.`,
	});
}

function reachHint(tool: ToolName, isDenied: boolean): string {
	if (tool === 'podman') {
		return `Start its socket (systemctl --user start podman.socket), or unset CONTAINER_HOST; ${OTHER_WAYS}.`;
	}
	if (isDenied) return `Let this user use the socket (group docker, then log in again); ${OTHER_WAYS}.`;
	return `Start the Docker daemon, or set DOCKER_HOST to where it listens; ${OTHER_WAYS}.`;
}

/** Without what tools print of their progress. */
function lastLines(stderr: string): string {
	const lines = stderr.split('\n').map((line) => line.trim());
	const telling = lines.filter(
		(line) => line !== '' && !/^(?:Getting image|Copying (?:blob|config)|Writing manifest|Storing sig)/.test(line),
	);
	return redact(telling.slice(-3).join(' ')).slice(0, 500);
}
