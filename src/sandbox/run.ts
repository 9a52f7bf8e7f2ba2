import { randomUUID } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { attempt } from '../errors.js';
import { fileText } from '../file-text.js';
import { ourCapabilities } from '../linux/capabilities.js';
import { makePath } from '../make-path.js';
import { findProgram } from '../program.js';
import { type BwrapCall, bwrapCall, prlimitOptions, setprivWords } from './bwrap.js';
import { runChroot } from './chroot.js';
import { typeOf } from './kernel-paths.js';
import { endOf, type Launched, launch } from './launch.js';
import { runUnconfined } from './none.js';
import { runtimeConfigText } from './runtime-config.js';
import { type Exit, type SandboxOutcome, type SandboxRun, shellExit } from './sandbox.js';
import { SANDBOXES, type SandboxName } from './sandboxes.js';
import { HERE, seccompProgram } from './seccomp.js';

const REASON_LIMIT = 2000;
const STATUS_FD = 3;
const OPTIONS_FD = 4;
const SECCOMP_FD = 5;

/**
 * Runs the process to its end. Output goes straight to `streams`. When `signal` is aborted the sandbox is killed, and with it, since it
 * is the init of a pid namespace, all that it started. A sandbox that is refused is tried once more with less (`SandboxRun.less`).
 */
export async function runSandbox(
	name: SandboxName,
	{ needLess, ...run }: PossibleRun,
	signal: AbortSignal,
): Promise<SandboxOutcome> {
	const { program, hasLess } = SANDBOXES[name];
	const start = STARTS[name];
	if (program !== undefined && findProgram(program, run.hostPath) === undefined) return notInstalled(program);
	const first = await start({ ...run, less: needLess.has(name) }, signal);
	if (first.type === 'exited' || signal.aborted || !hasLess || needLess.has(name)) return first;
	const second = await start({ ...run, less: true }, signal);
	if (second.type === 'refused') return first;
	needLess.add(name);
	return second;
}

/** A run, and the sandboxes that are known to need less here, to which those are added that are found out. */
export interface PossibleRun extends Omit<SandboxRun, 'less'> {
	readonly needLess: Set<SandboxName>;
}

type Start = (run: SandboxRun, signal: AbortSignal) => Promise<SandboxOutcome>;

const STARTS: Readonly<Record<SandboxName, Start>> = {
	runc: (run, signal) => runOciRuntime('runc', run, signal),
	crun: (run, signal) => runOciRuntime('crun', run, signal),
	bwrap: runBwrap,
	chroot: runChroot,
	none: runUnconfined,
};

async function runBwrap(run: SandboxRun, signal: AbortSignal): Promise<SandboxOutcome> {
	const filter = seccompProgram(run.spec, HERE);
	const fds = { status: STATUS_FD, seccomp: filter === undefined ? undefined : SECCOMP_FD };
	const call = bwrapCall(run.spec, fds, run.less, typeOf);
	const { stdin, stdout, stderr } = run.streams;
	const program = findProgram('bwrap', run.hostPath) ?? 'bwrap';
	const { ulimits } = run.spec.limits;
	const prlimit = ulimits.length === 0 ? undefined : findProgram('prlimit', run.hostPath);
	const words = [program, '--args', String(OPTIONS_FD), '--', ...run.spec.process.argv];
	const limited = prlimit === undefined ? words : [prlimit, ...prlimitOptions(ulimits), ...words];
	const [first = program, ...rest] = [...boundWords(call, run), ...limited];
	const child = run.inGroup(() =>
		launch(first, rest, {
			stdio: [stdin, stdout, stderr, 'pipe', 'pipe', 'pipe'],
			env: { PATH: run.hostPath },
			uid: call.uid,
			gid: call.gid,
		}),
	);
	write(child, OPTIONS_FD, call.options.map((option) => `${option}\0`).join(''));
	write(child, SECCOMP_FD, filter ?? '');
	const status: string[] = [];
	child.stdio[STATUS_FD]?.on('data', (chunk: Buffer) => status.push(chunk.toString('latin1')));
	const kill = () => {
		const init = /"child-pid":\s*(\d+)/.exec(status.join(''))?.[1];
		// bwrap has the kernel kill it with itself, but what it runs can take that back. It may have ended.
		if (init !== undefined) attempt(() => process.kill(Number(init), 'SIGKILL'));
		child.kill();
	};
	const exit = await endOf(child, kill, signal);
	if (typeof exit === 'string') return { type: 'refused', reason: exit };
	const code = /"exit-code":\s*(\d+)/.exec(status.join(''))?.[1];
	if (code === undefined)
		return { type: 'refused', reason: `bwrap could not set up the sandbox (status ${describe(exit)})` };
	return { type: 'exited', exit: shellExit(Number(code)) };
}

/** Without setpriv, no new privileges keep what is left in the bounding set from being gained. */
function boundWords({ bounding }: BwrapCall, { less, hostPath }: SandboxRun): readonly string[] {
	const setpriv = less || bounding === undefined ? undefined : findProgram('setpriv', hostPath);
	const permitted = ourCapabilities('CapPrm');
	if (setpriv === undefined || bounding === undefined || permitted === 0n) return [];
	return setprivWords(setpriv, bounding, permitted);
}

function write(child: Launched, fd: number, content: string | Buffer): void {
	const stream = child.stdio[fd] as Writable;
	stream.on('error', () => undefined);
	stream.end(content);
}

async function runOciRuntime(name: 'runc' | 'crun', run: SandboxRun, signal: AbortSignal): Promise<SandboxOutcome> {
	const program = findProgram(name, run.hostPath) ?? name;
	const bundle = join(run.scratch, name);
	const state = join(run.scratch, `${name}-state`);
	for (const path of [bundle, state]) makePath(path, 0o700);
	try {
		writeFileSync(join(bundle, 'config.json'), runtimeConfigText(run.spec, run.less), { mode: 0o600 });
		return await runBundle({ name, program, bundle, state }, run, signal);
	} finally {
		// The environment is in it, with values that nobody is to find in a scratch directory that is kept.
		for (const path of [bundle, state]) rmSync(path, { recursive: true, force: true });
	}
}

interface Bundle {
	readonly name: 'runc' | 'crun';
	readonly program: string;
	readonly bundle: string;
	readonly state: string;
}

async function runBundle(
	{ name, program, bundle, state }: Bundle,
	run: SandboxRun,
	signal: AbortSignal,
): Promise<SandboxOutcome> {
	const [log, pidFile] = [join(bundle, 'log'), join(bundle, 'pid')];
	const id = `s2oci-${randomUUID()}`;
	const global = name === 'runc' ? ['--rootless', 'true'] : ['--cgroup-manager', 'disabled'];
	const options = [...global, '--root', state, '--log', log];
	const env = { PATH: run.hostPath, XDG_RUNTIME_DIR: state };
	const { stdin, stdout, stderr } = run.streams;
	const less = run.less ? ['--no-pivot', '--no-new-keyring'] : [];
	const child = run.inGroup(() =>
		launch(program, [...options, 'run', ...less, '--pid-file', pidFile, '--bundle', bundle, id], {
			stdio: [stdin, stdout, stderr],
			env,
		}),
	);
	let killed = Promise.resolve();
	const kill = () => {
		const killer = launch(program, [...options, 'delete', '--force', id], {
			stdio: ['ignore', 'ignore', 'ignore'],
			env,
		});
		killed = killer.ended.then(child.kill);
	};
	const exit = await endOf(child, kill, signal);
	// Until then it writes into the bundle.
	await killed;
	if (typeof exit === 'string') return { type: 'refused', reason: exit };
	if (!existsSync(pidFile)) return { type: 'refused', reason: `${name}: ${readReason(log) || describe(exit)}` };
	return { type: 'exited', exit: exit.type === 'code' ? shellExit(exit.code) : exit };
}

function notInstalled(name: string): SandboxOutcome {
	return { type: 'refused', reason: `${name} is not installed` };
}

function describe(exit: Exit): string {
	return exit.type === 'code' ? String(exit.code) : exit.signal;
}

function readReason(log: string): string {
	const text = fileText(log).slice(-REASON_LIMIT);
	const messages = [...text.matchAll(/msg="((?:[^"\\]|\\.)*)"/g)].map((match) => match[1] ?? '');
	return (messages.at(-1) ?? text.trim()).replace(/\\"/g, '"');
}
