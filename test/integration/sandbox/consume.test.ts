import { once } from 'node:events';
import { copyFileSync, existsSync, linkSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { loadLibc } from '../../../src/linux/libc.js';
import { NO_LIMITS } from '../../../src/sandbox/limits.js';
import type { SandboxName } from '../../../src/sandbox/sandboxes.js';
import { execute } from '../../../src/worker/execute.js';
import { lacking, temporaryDirectory } from '../../support/fs.js';
import { skipFor } from '../../support/needs.js';
import { keptProgram } from '../../support/programs.js';

const reason = process.getuid?.() === 0 ? lacking('bwrap', 'runc') : 'only root can run a sandbox without a worker';

interface Options {
	readonly signal?: AbortSignal;
	readonly timeoutMs?: number;
	readonly sandbox?: SandboxName;
	readonly hostPath?: string;
}

/** Runs a shell script in a root filesystem of busybox, and has `consume` read what it prints. */
async function run(
	script: string,
	consume: (stdout: Readable) => Promise<void>,
	{ signal = new AbortController().signal, timeoutMs, sandbox = 'bwrap', hostPath = '/usr/bin:/bin' }: Options = {},
) {
	using directory = temporaryDirectory();
	const rootfs = join(directory.path, 'rootfs');
	for (const name of ['bin', 'dev', 'proc', 'sys', 'tmp']) mkdirSync(join(rootfs, name), { recursive: true });
	copyFileSync(keptProgram('busybox'), join(rootfs, 'bin/busybox'));
	for (const name of ['sh', 'yes', 'head', 'sleep', 'cat'])
		linkSync(join(rootfs, 'bin/busybox'), join(rootfs, 'bin', name));
	const libc = await loadLibc();
	if (libc === undefined) throw new Error('koffi has no binary for this platform');
	return await execute(
		{
			root: 'builder',
			process: {
				argv: ['/bin/sh', '-c', script],
				env: { PATH: '/bin' },
				cwd: '/',
				user: { uid: 0, gid: 0, additionalGids: [] },
			},
			sandboxes: [sandbox],
			streams: 'forward',
			limits: NO_LIMITS,
			timeoutMs,
		},
		{
			libc,
			scratch: directory.path,
			hostPath,
			needLess: new Set(),
			spec: { rootfs, binds: [], userNamespace: 'none', mounts: false, proc: 'job' },
		},
		signal,
		consume,
	);
}

describe('the consumer of stdout', () => {
	test('gets every byte, however slow it is, and stderr goes its usual way', async (context) => {
		skipFor(context, reason);
		let bytes = 0;
		const { exit, forwarded } = await run('yes 0123456789 | head -n 200000; echo aside >&2', async (stdout) => {
			await new Promise((resolve) => setTimeout(resolve, 1500));
			for await (const chunk of stdout) bytes += (chunk as Buffer).length;
		});
		expect([exit, bytes]).toEqual([{ type: 'code', code: 0 }, 2_200_000]);
		expect(forwarded).toEqual({ stdout: 0, stderr: 6 });
	});

	test('sees the end of what was printed before a failure', async (context) => {
		skipFor(context, reason);
		const seen: Buffer[] = [];
		const { exit } = await run('echo half; exit 7', async (stdout) => void seen.push(await buffer(stdout)));
		expect([exit, Buffer.concat(seen).toString()]).toEqual([{ type: 'code', code: 7 }, 'half\n']);
	});

	test('that fails ends the process, and its error is the one that is told', async (context) => {
		skipFor(context, reason);
		const failed = run('yes', async (stdout) => {
			await once(stdout, 'data');
			throw new Error('no archive');
		});
		await expect(failed).rejects.toThrow('no archive');
	});

	test('that fails is told after runc has removed the container, which until then writes into our bundle', async (context) => {
		skipFor(context, reason);
		using programs = temporaryDirectory();
		const removed = join(programs.path, 'removed');
		const script = `/usr/sbin/runc "$@"; status=$?; case " $* " in *' delete '*) sleep 1; : >${removed} ;; esac; exit $status`;
		writeFileSync(join(programs.path, 'runc'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
		const fail = async (stdout: Readable) => {
			await once(stdout, 'data');
			throw new Error('no archive');
		};
		const hostPath = `${programs.path}:/usr/sbin:/usr/bin:/bin`;
		await expect(run('yes', fail, { sandbox: 'runc', hostPath })).rejects.toThrow('no archive');
		expect(existsSync(removed)).toBe(true);
	});

	test('sees the end of the stream when the time of the process is over, or it is stopped', async (context) => {
		skipFor(context, reason);
		const seen: string[] = [];
		const read = async (stdout: Readable) => void seen.push((await buffer(stdout)).toString());
		expect(await run('echo begun; sleep 1000', read, { timeoutMs: 800 })).toMatchObject({ timedOut: true });
		const stop = new AbortController();
		const stopped = run('echo begun; sleep 1000', read, { signal: stop.signal });
		setTimeout(() => stop.abort(new Error('stopped')), 800);
		await expect(stopped).rejects.toThrow('stopped');
		expect(seen).toEqual(['begun\n', 'begun\n']);
	});
});
