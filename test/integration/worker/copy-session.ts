import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { digestOf } from '../../../src/oci/digest.js';
import type { CallName, RootName, WorkerCalls } from '../../../src/protocol/worker-calls.js';
import type { SandboxName } from '../../../src/sandbox/sandboxes.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/fs.js';
import { readTar } from '../../unit/tar/entries.js';
import { EPOCH, type User } from './session.js';

/** One call to the worker. */
export type Call = { [Name in CallName]: readonly [Name, WorkerCalls[Name]['request']] }[CallName];

/** How a list of calls ended. */
export interface CopyResult {
	readonly userNamespace: 'none' | 'full' | 'single';
	readonly responses: readonly unknown[];
	readonly error?: { readonly code?: string; readonly message: string };
	/** What the processes printed. */
	readonly printed: string;
}

/** Worker sessions of one user in a directory of their own. */
export interface CopySession extends TemporaryDirectory {
	/** Host directory to copy from; it belongs to the user. */
	readonly source: string;
	readonly run: (layers: readonly Buffer[], calls: readonly Call[], rootfs?: 'overlay' | 'copy') => CopyResult;
	/** The packed layer, one line an entry. */
	readonly packed: () => readonly string[];
	/** The calls that pack what is new in `root`. */
	readonly packing: (root: RootName, owner: Owner) => readonly Call[];
}

/** An owner in the ids of the image. */
export interface Owner {
	readonly uid: number;
	readonly gid: number;
}

const DRIVER = fileURLToPath(new URL('./copy-session.mjs', import.meta.url));

/** Opens sessions for `user`; `fill` makes the source, before it is given to that user. */
export function openCopySession(user: User, fill: (source: string) => void): CopySession {
	const directory = temporaryDirectory();
	const at = (name: string) => join(directory.path, name);
	chmodSync(directory.path, 0o755);
	for (const name of ['store', 'source']) mkdirSync(at(name));
	fill(at('source'));
	if (user !== 'ourselves') execFileSync('chown', ['-Rh', `${user}:`, directory.path]);
	const become = user === 'ourselves' ? [] : ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--init-groups'];
	return {
		path: directory.path,
		source: at('source'),
		run: (layers, calls, rootfs = 'overlay') => {
			const plan = {
				store: at('store'),
				layers: layers.map((tar, index) => writeLayer(tar, at(`${index}.blob`))),
				rootfs,
				calls,
			};
			const [program, ...args] = [...become, process.execPath, DRIVER];
			const env = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', S2OCI_TEST_DIST: process.env['S2OCI_TEST_DIST'] };
			const ended = spawnSync(program, args, { input: JSON.stringify(plan), env, cwd: '/', encoding: 'utf8' });
			if (ended.status !== 0) throw new Error(`the session ended with ${String(ended.status)}: ${ended.stderr}`);
			return { ...(JSON.parse(ended.stdout) as CopyResult), printed: ended.stderr };
		},
		packed: () => readTar([gunzipSync(readFileSync(at('store/layer.tar.gz')))]).map(line),
		packing: (root, owner) => [
			['diff', { root, assembleUser: owner, excluded: [] }],
			['pack', { root, epoch: EPOCH, output: at('store/layer.tar.gz') }],
		],
		[Symbol.dispose]: () => directory[Symbol.dispose](),
	};
}

/** Writes `files` below `root`, content by path; a mode may stand before the path, as in `755 bin/run`. */
export function fillDirectory(root: string, files: Readonly<Record<string, string | Buffer>>): void {
	for (const [key, content] of Object.entries(files)) {
		const [, mode = '644', path = key] = /^(\d+) (.*)$/.exec(key) ?? [];
		mkdirSync(dirname(join(root, path)), { recursive: true });
		writeFileSync(join(root, path), content);
		chmodSync(join(root, path), Number.parseInt(mode, 8));
	}
}

/** Runs `script` by busybox in `root`. */
export function shell(root: RootName, script: string, user: Owner, sandbox: SandboxName): Call {
	const process = {
		argv: ['/bin/sh', '-ec', script] as const,
		env: { PATH: '/bin' },
		cwd: '/',
		user: { ...user, additionalGids: [] },
	};
	return ['execute', { root, process, sandboxes: [sandbox], streams: 'forward' }];
}

function writeLayer(tar: Buffer, path: string): object {
	const blob = gzipSync(tar, { level: 1 });
	writeFileSync(path, blob);
	chmodSync(path, 0o644);
	return {
		path,
		wanted: { diffId: digestOf(tar), blob: { digest: digestOf(blob), size: blob.length }, compression: 'gzip' },
	};
}

function line({ entry, body }: ReturnType<typeof readTar>[number]): string {
	const { type, path, linkPath, mode, uid, gid } = entry;
	const text = type === 'file' && !path.includes('.wh.') ? ` ${JSON.stringify(body.toString('latin1'))}` : '';
	return `${type} ${mode.toString(8)} ${uid}:${gid} ${path}${linkPath === '' ? '' : ` -> ${linkPath}`}${text}`;
}
