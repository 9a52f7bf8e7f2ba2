import { closeSync, constants, openSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { attempt, BuildError, unlessErrno } from '../errors.js';
import { fileText } from '../file-text.js';
import { descendantsOf, listProcesses } from '../linux/processes.js';
import type { Answer, Listening, Question, Seen, SeenProcess } from '../protocol/observation.js';
import { endOf, launch } from '../sandbox/launch.js';
import type { WorkerSession } from './open-session.js';
import { listeningIn, type SocketRow } from './socket-table.js';

/** The program that asks servers over HTTP. */
const ASK_HTTP = fileURLToPath(new URL('../sandbox/enter-root.js', import.meta.url));
const MAX_PROCESSES = 200;
const MAX_COMMAND = 300;
const MAX_ANSWERS = 64 << 20;
const KIB = 1024;

type Place = Pick<WorkerSession, 'mounts' | 'userNamespace'>;

interface Sandboxed extends SeenProcess {
	readonly user: number;
}

/** What runs in the sandbox. Where it shares the network of the host, ports are those of all processes of its users. */
export async function look(place: Place): Promise<Seen> {
	const processes = await findSandboxed(place);
	const [first] = processes;
	if (place.mounts && first === undefined) return { processes: [], listening: [] };
	const users = new Set(processes.map(({ user }) => user));
	const isOwn = ({ uid }: SocketRow) => place.mounts || users.size === 0 || users.has(uid);
	const directory = place.mounts && first !== undefined ? `/proc/${first.pid}/net` : '/proc/net';
	const rows = (['tcp', 'tcp6'] as const).flatMap((table) => listeningIn(fileText(`${directory}/${table}`)));
	const listening = rows.filter(isOwn).map(({ port, address, family }): Listening => ({ port, address, family }));
	const seen = processes.map(
		({ pid, first: isFirst, uid, command, memory }): SeenProcess => ({ pid, first: isFirst, uid, command, memory }),
	);
	return { processes: seen, listening };
}

/** The processes of the sandbox, the first one first; of the programs that made it, none. */
export async function findSandboxed({ mounts, userNamespace }: Place): Promise<readonly Sandboxed[]> {
	const descendants = descendantsOf(process.pid, await listProcesses()).filter(({ runs }) => runs);
	const own = pidsIn(fileText('/proc/self/status')).length;
	const found = descendants.flatMap(({ pid, parent }): Sandboxed | readonly [] => {
		const status = fileText(`/proc/${pid}/status`);
		const pids = pidsIn(status);
		if (status === '' || (mounts && pids.length <= own)) return [];
		const first = mounts ? pids.at(-1) === 1 : parent === process.pid;
		const user = Number(/^Uid:\s*\d+\s+(\d+)/m.exec(status)?.[1] ?? 0);
		const uid = userNamespace === 'single' ? undefined : user;
		return { pid, first, uid, user, command: commandOf(pid, status), memory: memoryIn(status) };
	});
	return found.sort((a, b) => Number(b.first) - Number(a.first) || a.pid - b.pid).slice(0, MAX_PROCESSES);
}

/** Sends `name` to the first of `processes`. */
export function signalSandbox(name: 'SIGTERM' | 'SIGKILL', processes: readonly SeenProcess[]): void {
	for (const { pid, first } of processes) if (first) unlessErrno(['ESRCH'], () => process.kill(pid, name));
}

/**
 * Asks servers of the sandbox, from within its network namespace where it has one. Resolves with an answer for each question, whatever the
 * servers do. Throws HOST_NO_NAMESPACES where that namespace cannot be entered: no answer would look like one.
 */
export async function ask(
	questions: readonly Question[],
	place: Place,
	signal: AbortSignal,
): Promise<readonly Answer[]> {
	const [first] = await findSandboxed(place);
	const hasEnded = () => questions.map((): Answer => ({ type: 'none', error: 'the program has ended' }));
	if (first === undefined) return hasEnded();
	if (!place.mounts) return askFrom(undefined, questions, signal);
	const namespace = unlessErrno(['ENOENT', 'ESRCH'], () => openSync(`/proc/${first.pid}/ns/net`, constants.O_RDONLY));
	if (namespace === undefined) return hasEnded();
	try {
		return await askFrom(namespace, questions, signal);
	} finally {
		closeSync(namespace);
	}
}

async function askFrom(
	namespace: number | undefined,
	questions: readonly Question[],
	signal: AbortSignal,
): Promise<readonly Answer[]> {
	const words = ['--no-warnings', ASK_HTTP, 'ask', namespace === undefined ? 'stay' : 'enter'];
	const stdio = ['pipe', 'pipe', 'ignore', namespace ?? 'ignore'] as const;
	const child = launch(process.execPath, words, { stdio, env: {} });
	const input = child.stdio[0] as Writable;
	input.on('error', () => undefined);
	input.end(JSON.stringify(questions));
	const chunks: Buffer[] = [];
	let size = 0;
	(child.stdio[1] as Readable).on('data', (chunk: Buffer) => {
		size += chunk.length;
		if (size > MAX_ANSWERS) child.kill();
		else chunks.push(chunk);
	});
	await endOf(child, child.kill, signal);
	const answers = attempt(() => JSON.parse(Buffer.concat(chunks).toString()) as readonly Answer[]);
	if (answers !== undefined) return answers;
	throw new BuildError(
		'HOST_NO_NAMESPACES',
		'the network of a sandbox could not be entered, so its program cannot be asked',
		{
			hint: 'This host forbids setns(2) or lacks koffi; s2oci doctor says what it gives.',
		},
	);
}

/** proc_pid_status(5), NSpid: its numbers in the pid namespaces from ours to its own. */
function pidsIn(status: string): readonly number[] {
	return (/^NSpid:\s*(.*)$/m.exec(status)?.[1] ?? '').split(/\s+/).filter(Boolean).map(Number);
}

function memoryIn(status: string): number {
	return Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1] ?? 0) * KIB;
}

function commandOf(pid: number, status: string): string {
	const words = fileText(`/proc/${pid}/cmdline`).split('\0').filter(Boolean).join(' ');
	return (words === '' ? (/^Name:\s*(.*)$/m.exec(status)?.[1] ?? '') : words).slice(0, MAX_COMMAND);
}
