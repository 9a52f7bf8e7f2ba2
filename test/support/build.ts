import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BuildResult } from '../../src/pipeline/result.js';
import type { Workspace } from './host.js';

/** The program under test; S2OCI_TEST_PROGRAM names another copy, such as an installed package. */
export const PROGRAM: string =
	process.env['S2OCI_TEST_PROGRAM'] ?? fileURLToPath(new URL('../../bin/s2oci.js', import.meta.url));

/** How a command ended, and what it printed. */
export interface Finished {
	readonly status: number | null;
	readonly signal: NodeJS.Signals | null;
	readonly stdout: string;
	readonly stderr: string;
	/** Of the result file; undefined when there is none. */
	readonly result: BuildResult | undefined;
}

/** A command that runs. */
export interface Running {
	readonly child: ChildProcess;
	/** What it has printed on stderr until now. */
	readonly stderr: () => string;
	readonly finished: Promise<Finished>;
}

export interface RunOptions {
	readonly env?: Readonly<Record<string, string>>;
	/** A program and its arguments that run s2oci, such as unshare. */
	readonly wrapper?: readonly string[];
	readonly cwd?: string;
	/** Runs it on a terminal of 80 columns of its own: stdout and stderr are then one, and in stdout. */
	readonly terminal?: boolean;
	/** Another copy of the program. */
	readonly program?: string;
	/** Leaves it to s2oci whether an unchanged build is made at all; else each is. */
	readonly mayReuse?: boolean;
	/** SIGKILL after this time, which no test should need. */
	readonly limitMs?: number;
}

/** Starts s2oci in `workspace`, with an environment that has nothing of the caller's but PATH. */
export function startS2oci(workspace: Workspace, args: readonly string[], options: RunOptions = {}): Running {
	const { home, store, temporary, mark, root } = workspace;
	const resultFile = join(home, 'result.json');
	const [program = '', ...rest] = commandOf(workspace, args, resultFile, options);
	const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:${mark}`;
	const child = spawn(program, rest, {
		cwd: options.cwd ?? root,
		env: { PATH: path, HOME: home, TMPDIR: temporary, S2OCI_STORE: store, ...options.env },
		stdio: ['ignore', 'pipe', 'pipe'],
		timeout: options.limitMs ?? 300_000,
		killSignal: 'SIGKILL',
	});
	let [stdout, stderr] = ['', ''];
	child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
	child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
	const finished = new Promise<Finished>((resolve, reject) => {
		child.once('error', reject);
		child.once('close', (status, signal) => {
			try {
				resolve({ status, signal, stdout, stderr, result: readResult(resultFile) });
			} catch (error) {
				reject(error instanceof Error ? error : new Error(String(error)));
			}
		});
	});
	return { child, stderr: () => stderr, finished };
}

/** Runs s2oci to its end. */
export function s2oci(workspace: Workspace, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
	return startS2oci(workspace, args, options).finished;
}

/** Runs `s2oci build` and returns its result; throws, with all it printed, when it fails. */
export async function build(
	workspace: Workspace,
	args: readonly string[],
	options: RunOptions = {},
): Promise<Finished & { readonly result: BuildResult }> {
	const finished = await s2oci(workspace, ['build', ...args], options);
	const { status, stderr, result } = finished;
	if (status !== 0 || result === undefined) throw new Error(`s2oci build ended with ${String(status)}: ${stderr}`);
	return { ...finished, result };
}

function commandOf(
	{ user }: Workspace,
	args: readonly string[],
	resultFile: string,
	options: RunOptions,
): readonly string[] {
	const record = args[0] === 'build' && !args.includes('--result-file') ? ['--result-file', resultFile] : [];
	const isPlain = args[0] !== 'build' || options.mayReuse === true || args.includes('--reuse');
	const always = isPlain ? [] : ['--reuse', 'never'];
	const become =
		user === undefined ? [] : ['setpriv', '--reuid', String(user.uid), '--regid', String(user.gid), '--init-groups'];
	const words = [
		...(options.wrapper ?? []),
		...become,
		process.execPath,
		options.program ?? PROGRAM,
		...args,
		...always,
		...record,
	];
	return options.terminal === true ? onTerminal(words) : words;
}

function onTerminal(words: readonly string[]): readonly string[] {
	const quoted = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
	return ['script', '-qec', `stty cols 80; exec ${quoted}`, '/dev/null'];
}

function readResult(path: string): BuildResult | undefined {
	return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as BuildResult) : undefined;
}
