import { chmodSync, closeSync, ftruncateSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MS_BIND } from '../linux/libc.js';
import { makePath } from '../make-path.js';
import { findMount, readMounts } from '../mountinfo.js';
import type { WorkerCalls } from '../protocol/worker-calls.js';
import { removeTree } from '../remove-tree.js';
import { rawPath } from '../root-path.js';
import { ownable } from '../rootfs/owner.js';
import { KERNEL_DIRECTORIES } from '../sandbox/kernel-paths.js';
import { isCopied } from '../sandbox/ladder.js';
import { NO_LIMITS } from '../sandbox/limits.js';
import { NOEXEC_STORE, type Refused } from '../sandbox/no-sandbox.js';
import type { Profile } from '../sandbox/profile.js';
import { runSandbox } from '../sandbox/run.js';
import type { SandboxSpec } from '../sandbox/sandbox.js';
import type { SandboxName } from '../sandbox/sandboxes.js';
import { TINY_STATUS, tinyProgram } from '../sandbox/tiny-program.js';
import type { WorkerSession } from './open-session.js';

/** Whoever most builder images run as. */
const USER = { uid: 1001, gid: 0, additionalGids: [] };
const WORDS_LIMIT = 16_384;
const LINE_LIMIT = 200;
/** It shows that filters can be set as well as a large one does, which libseccomp takes long to compile. */
const SMALL_FILTER: Profile = {
	defaultAction: 'SCMP_ACT_ALLOW',
	syscalls: [{ names: ['keyctl'], action: 'SCMP_ACT_ERRNO' }],
};
const ROOT_USER = { uid: 0, gid: 0, additionalGids: [] };

/**
 * The first of `sandboxes` in which a program ran that does nothing, in an empty root filesystem where real ones will be; and why each one
 * before it was refused.
 */
export async function probeSandboxes(
	sandboxes: readonly SandboxName[],
	session: WorkerSession,
	signal: AbortSignal,
): Promise<WorkerCalls['probe']['response']> {
	const { scratch, hostPath, needLess } = session;
	const { rootfs, remove } = makeRoot(session);
	const words = join(scratch, 'probe-words');
	const output = openSync(words, 'a+', 0o600);
	const streams = { stdin: 'ignore', stdout: output, stderr: output } as const;
	const refused: Refused[] = [];
	try {
		const run = {
			spec: specOf(rootfs, session),
			streams,
			scratch,
			hostPath,
			needLess,
			inGroup: <T>(start: () => T) => start(),
			killGroup: () => undefined,
		};
		for (const sandbox of sandboxes) {
			const outcome = await runSandbox(sandbox, run, signal);
			signal.throwIfAborted();
			if (outcome.type === 'refused') refused.push({ sandbox, reason: reasonOf(outcome.reason, lastWords(output)) });
			else if (outcome.exit.type === 'code' && outcome.exit.code === TINY_STATUS)
				return { sandbox, less: needLess.has(sandbox), refused };
			else refused.push({ sandbox, reason: 'no program could be run in it' });
		}
		const [first] = sandboxes;
		if (first === undefined || !isCopied(session.rootfs) || !isNoexec(scratch))
			return { sandbox: undefined, less: false, refused };
		return { sandbox: undefined, less: false, refused: [{ sandbox: first, reason: NOEXEC_STORE }] };
	} finally {
		closeSync(output);
		rmSync(words, { force: true });
		remove();
	}
}

/** What the program said last, and why it was refused is often only there; the next one begins anew. */
function lastWords(output: number): string {
	const bytes = Buffer.alloc(WORDS_LIMIT);
	const text = bytes.toString('utf8', 0, readSync(output, bytes, 0, WORDS_LIMIT, 0));
	ftruncateSync(output);
	return (text.trim().split('\n').at(-1) ?? '').slice(0, LINE_LIMIT);
}

function reasonOf(reason: string, words: string): string {
	return words === '' || reason.includes(words) ? reason : `${reason}: ${words}`;
}

/** `path` is absolute and, being in our mount namespace, was resolved by the parent. */
function isNoexec(path: string): boolean {
	return findMount(readMounts(), path)?.options.includes('noexec') === true;
}

/** Every id can reach it, and where copies will be run, it is on their file system. */
function makeRoot({ scratch, target, rootfs, libc }: WorkerSession): {
	readonly rootfs: string;
	readonly remove: () => void;
} {
	const own = join(scratch, 'probe-root');
	const shown = target('probe');
	if (shown !== undefined && rootfs === 'overlay') {
		furnish(shown);
		return { rootfs: shown, remove: () => removeTree(rawPath(shown)) };
	}
	furnish(own);
	if (shown === undefined) return { rootfs: own, remove: () => removeTree(rawPath(own)) };
	libc.mount(rawPath(own), rawPath(shown), '', MS_BIND, '');
	const remove = () => {
		libc.unmount(rawPath(shown));
		for (const path of [shown, own]) removeTree(rawPath(path));
	};
	return { rootfs: shown, remove };
}

function furnish(rootfs: string): void {
	for (const name of ['', ...KERNEL_DIRECTORIES]) makePath(join(rootfs, name), 0o755);
	writeFileSync(join(rootfs, 'end'), tinyProgram(process.arch) ?? '');
	for (const name of ['', 'end']) chmodSync(join(rootfs, name), 0o755);
}

function specOf(rootfs: string, { userNamespace, mounts, proc, ids }: WorkerSession): SandboxSpec {
	const user = userNamespace === 'single' || ownable(USER, ids) ? USER : ROOT_USER;
	return {
		...{ rootfs, userNamespace, mounts, proc, binds: [], limits: { ...NO_LIMITS, seccomp: SMALL_FILTER } },
		process: { argv: ['/end'], env: { PATH: '/' }, cwd: '/', user },
	};
}
