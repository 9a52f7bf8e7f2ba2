import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, chownSync, closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { digestOf } from '../../../src/oci/digest.js';
import type { Inspected, WantedLayer, WorkerCalls } from '../../../src/protocol/worker-calls.js';
import type { ContainerProcess } from '../../../src/sandbox/sandbox.js';
import type { SandboxName } from '../../../src/sandbox/sandboxes.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/fs.js';
import { keptProgram } from '../../support/programs.js';
import { type TarMember, tarDirectory, tarFile, tarHardLink, tarOf } from '../../support/tar.js';
import { type Member, readTar } from '../../unit/tar/entries.js';

/** The users that stand for rungs of the privilege ladder: ourselves, one with subordinate ids, one without. */
export type User = 'ourselves' | 's2oci-subuid' | 's2oci-plain';

/** What one session came to; every field from the first call that failed on is missing. */
export interface SessionResult {
	readonly userNamespace?: 'none' | 'full' | 'single';
	readonly reason?: string;
	readonly present?: readonly string[];
	/** The layers that are in the store after unpacking, whether it failed or not. */
	readonly stored?: readonly string[];
	readonly lostXattrs?: readonly string[];
	readonly found?: readonly Inspected[];
	readonly exit?: WorkerCalls['execute']['response']['exit'];
	readonly sandbox?: SandboxName;
	readonly refused?: WorkerCalls['execute']['response']['refused'];
	readonly forwarded?: WorkerCalls['execute']['response']['forwarded'];
	readonly unenforced?: readonly string[];
	readonly oom?: boolean;
	readonly timedOut?: boolean;
	readonly layer?: WorkerCalls['pack']['response'];
	readonly statistics?: WorkerCalls['diff']['response']['statistics'];
	readonly error?: { readonly code?: string; readonly message: string };
	readonly stdout: string;
	readonly stderr: string;
	/** The name of its scratch directory. */
	readonly build: string;
	/** What is left beside the scratch directory after the end. */
	readonly left: readonly string[];
}

export interface SessionPlan {
	/** Uncompressed tars, lowest first. */
	readonly layers: readonly Buffer[];
	readonly wanted?: (layer: WantedLayer) => WantedLayer;
	/** A shell script, run by busybox; none means that nothing is executed. */
	readonly script?: string;
	readonly process?: Partial<ContainerProcess>;
	readonly sandboxes?: readonly SandboxName[];
	readonly inspect?: Omit<WorkerCalls['inspect']['request'], 'root'>;
	/** How the script is limited. */
	readonly execute?: Partial<Pick<WorkerCalls['execute']['request'], 'limits' | 'timeoutMs'>>;
	readonly workingDir?: string;
	/** Files of the source, placed at /tmp/src. */
	readonly source?: Readonly<Record<string, string>>;
	readonly binds?: WorkerCalls['prepare']['request']['binds'];
	readonly pack?: Partial<Omit<WorkerCalls['diff']['request'] & WorkerCalls['pack']['request'], 'root'>>;
	readonly rootfs?: 'overlay' | 'copy';
	/** The environment of the parent of the worker. */
	readonly env?: Readonly<Record<string, string>>;
	/** Without mounts and namespaces, as root in a plain container. */
	readonly withoutNamespaces?: boolean;
}

export interface RunningSession {
	readonly driver: ChildProcess;
	/** The name of its scratch directory; no two sessions have the same. */
	readonly build: string;
	/** Resolves when the session begins the step `name`. */
	readonly step: (name: 'start' | 'unpack' | 'inspect' | 'execute' | 'pack' | 'close') => Promise<void>;
	readonly result: Promise<SessionResult>;
}

/** A store that belongs to `user`, and sessions in it. */
export interface SessionStore extends TemporaryDirectory {
	readonly start: (plan: SessionPlan) => RunningSession;
	readonly run: (plan: SessionPlan) => Promise<SessionResult>;
	/** The entries of the layer that the last session packed. */
	readonly packed: () => readonly Member[];
	readonly store: string;
}

export const ASSEMBLE_USER: ContainerProcess['user'] = { uid: 1001, gid: 0, additionalGids: [] };
export const EPOCH = 1_700_000_000;
/** A file that sessions inherit though nobody asked for it, beyond those that Node itself closes. */
const LEAKED_FD = 100;
const DRIVER = fileURLToPath(new URL('./session.mjs', import.meta.url));
const WITHOUT_NAMESPACES = ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin'];
const APPLETS = [
	'sh',
	'cat',
	'ls',
	'env',
	'mv',
	'rm',
	'ln',
	'chmod',
	'mkdir',
	'touch',
	'cp',
	'stat',
	'id',
	'sleep',
	'readlink',
	'printf',
	'setsid',
	'truncate',
	'dd',
	'hostname',
	'rmdir',
	'kill',
	'mkfifo',
	'chown',
	'yes',
	'head',
];

/** A root filesystem of busybox and what a builder image has besides; `more` comes last. */
export function busyboxLayer(...more: readonly TarMember[]): Buffer {
	return tarOf([
		tarDirectory('bin'),
		tarFile('bin/busybox', readFileSync(keptProgram('busybox')), { mode: 0o755 }),
		...APPLETS.map((name) => tarHardLink(`bin/${name}`, 'bin/busybox')),
		...['dev', 'proc', 'sys', 'etc', 'opt'].map((name) => tarDirectory(name)),
		tarDirectory('tmp', { mode: 0o1777 }),
		tarDirectory('opt/app', { uid: 1001 }),
		tarFile('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\napp:x:1001:0::/opt/app:/bin/sh\n'),
		...more,
	]);
}

/** Opens a store for sessions of `user`. */
export function openSessions(user: User = 'ourselves'): SessionStore {
	const directory = temporaryDirectory();
	const ids = user === 'ourselves' ? undefined : idsOf(user);
	const mine = (path: string) => {
		if (ids !== undefined) chownSync(path, ids.uid, ids.gid);
	};
	chmodSync(directory.path, 0o755);
	mine(directory.path);
	const store = join(directory.path, 'store');
	const leaked = openSync('/dev/null', 'r');
	let count = 0;
	let output = '';
	const start = (plan: SessionPlan): RunningSession => {
		const name = `${basename(directory.path)}-${++count}`;
		output = join(directory.path, `${name}.layer`);
		const source = makeSource(join(directory.path, `${name}-source`), plan.source ?? {}, mine);
		const layers = plan.layers.map((tar, index) =>
			writeLayer(tar, join(directory.path, `${name}-${index}.blob`), plan),
		);
		const dist = process.env['S2OCI_TEST_DIST'];
		const path = '/usr/bin:/bin:/usr/sbin:/sbin';
		const env = { PATH: path, ...(dist !== undefined && { S2OCI_TEST_DIST: dist }), ...plan.env };
		const switchUser = ids === undefined ? [] : [`--reuid=${ids.uid}`, `--regid=${ids.gid}`, '--init-groups'];
		const wrapper = plan.withoutNamespaces === true ? WITHOUT_NAMESPACES : [];
		const become = ids === undefined ? [] : ['setpriv', ...switchUser];
		const [program, ...args] = [...wrapper, ...become, process.execPath, DRIVER];
		const stdio = ['pipe', 'pipe', 'pipe', ...Array<'ignore'>(LEAKED_FD - 3).fill('ignore'), leaked] as const;
		const driver = spawn(program, args, { stdio: [...stdio], env, cwd: '/' });
		driver.stdin?.end(JSON.stringify({ ...planFor(plan, source, output), store, name, layers }));
		return { build: name, ...follow(driver) };
	};
	return {
		path: directory.path,
		store,
		start,
		run: (plan) => start(plan).result,
		packed: () => readTar([gunzipSync(readFileSync(output))]),
		[Symbol.dispose]: () => {
			closeSync(leaked);
			// What belongs to subordinate ids, only root or their owner can remove.
			directory[Symbol.dispose]();
		},
	};
}

/** Why `user` cannot be used here; undefined when it can. */
export function withoutUser(user: User): string | undefined {
	if (user === 'ourselves') return undefined;
	if (process.getuid?.() !== 0) return 'only root can become another user';
	return idsOf(user) === undefined ? `there is no user ${user}; scripts/test-users makes it` : undefined;
}

function idsOf(user: string): { readonly uid: number; readonly gid: number } | undefined {
	const line = readFileSync('/etc/passwd', 'utf8')
		.split('\n')
		.find((each) => each.startsWith(`${user}:`));
	const [, , uid, gid] = line?.split(':') ?? [];
	return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

function planFor(plan: SessionPlan, source: string, output: string): object {
	const workingDir = plan.workingDir ?? '/opt/app';
	const env = { PATH: '/bin', HOME: '/opt/app' };
	const { script, sandboxes = ['bwrap'] } = plan;
	const argv = ['/bin/sh', '-c', script ?? ''];
	return {
		rootfs: plan.rootfs ?? 'auto',
		userns: plan.withoutNamespaces === true ? 'none' : 'auto',
		inspect: plan.inspect ?? { stat: [], read: [] },
		prepare: {
			placements: [{ source, destination: '/tmp/src', owner: ASSEMBLE_USER, keep: false }],
			binds: plan.binds ?? [],
			user: ASSEMBLE_USER,
			workingDir,
		},
		...(script !== undefined && {
			execute: {
				process: { argv, env, cwd: workingDir, user: ASSEMBLE_USER, ...plan.process },
				sandboxes,
				...plan.execute,
			},
		}),
		...(plan.pack !== undefined && {
			pack: { assembleUser: { uid: 1001, gid: 0 }, epoch: EPOCH, excluded: [], output, ...plan.pack },
		}),
	};
}

function makeSource(path: string, files: Readonly<Record<string, string>>, mine: (path: string) => void): string {
	mkdirSync(path);
	mine(path);
	for (const [name, content] of Object.entries(files)) {
		writeFileSync(join(path, name), content);
		mine(join(path, name));
	}
	return path;
}

function writeLayer(
	tar: Buffer,
	path: string,
	plan: SessionPlan,
): { readonly path: string; readonly wanted: WantedLayer } {
	const blob = gzipSync(tar, { level: 1 });
	writeFileSync(path, blob);
	const layer: WantedLayer = {
		diffId: digestOf(tar),
		blob: { digest: digestOf(blob), size: blob.length },
		compression: 'gzip',
	};
	return { path, wanted: plan.wanted?.(layer) ?? layer };
}

function follow(driver: ChildProcess): Omit<RunningSession, 'build'> {
	const seen = new Set<string>();
	let wake: () => void = () => undefined;
	const complaints = driver.stderr === null ? Promise.resolve('') : text(driver.stderr);
	const result = new Promise<SessionResult>((resolve, reject) => {
		const lines = driver.stdout === null ? undefined : createInterface(driver.stdout);
		lines?.on('line', (line) => {
			const message = JSON.parse(line) as { readonly step?: string; readonly result?: SessionResult };
			if (message.step !== undefined) seen.add(message.step);
			if (message.result !== undefined) resolve(message.result);
			wake();
		});
		driver.once('error', reject);
		driver.once('close', (code, signal) => {
			void complaints.then((words) => reject(new Error(`the session ended with ${signal ?? String(code)}: ${words}`)));
		});
	});
	result.catch(() => undefined);
	const step = async (name: string) => {
		while (!seen.has(name)) {
			const next = new Promise<undefined>((resolve) => (wake = () => resolve(undefined)));
			const ended = await Promise.race([next, result]);
			if (ended !== undefined && !seen.has(name)) throw new Error(`the session ended before ${name}`);
		}
	};
	return { driver, step, result };
}
