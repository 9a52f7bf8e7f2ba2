import { describe, expect, test } from 'vitest';
import { type Limits, NO_LIMITS } from '../../../src/sandbox/limits.js';
import type { SandboxName } from '../../../src/sandbox/sandboxes.js';
import { lacking } from '../../support/fs.js';
import { skipFor } from '../../support/needs.js';
import { busyboxLayer, openSessions, type User, withoutUser } from '../worker/session.js';
import { lackingControllers, leftGroups, programsIn } from './cgroups.js';

const LAYER = busyboxLayer();
const SANDBOXES: readonly SandboxName[] = ['bwrap', 'runc', 'crun', 'chroot'];
const USERS: readonly User[] = ['ourselves', 's2oci-subuid', 's2oci-plain'];
const ROOT = { uid: 0, gid: 0, additionalGids: [] };
const MIB = 2 ** 20;

const combinations = USERS.flatMap((user) => SANDBOXES.map((sandbox) => [user, sandbox] as const));

async function run(
	user: User,
	sandbox: SandboxName,
	script: string,
	limits: Partial<Limits>,
	more: { readonly asRoot?: boolean; readonly timeoutMs?: number } = {},
) {
	using sessions = openSessions(user);
	const result = await sessions.run({
		layers: [LAYER],
		sandboxes: [sandbox],
		script,
		...(more.asRoot === true && { process: { user: ROOT } }),
		execute: { limits: { ...NO_LIMITS, ...limits }, timeoutMs: more.timeoutMs },
	});
	expect([result.error, result.left, leftGroups(result.build)]).toEqual([undefined, [], []]);
	return result;
}

describe.each(combinations)('a process of %s in %s', (user, sandbox) => {
	const reason = withoutUser(user) ?? lacking(sandbox, 'unshare', 'setpriv');

	test('without network has loopback only, and it is up', async (context) => {
		skipFor(context, reason);
		const script = 'cat /proc/net/dev; cat /proc/net/fib_trie';
		const { stdout, unenforced } = await run(user, sandbox, script, { network: 'none' });
		expect(stdout.match(/^ *\w+: +\d/gm)?.map((line) => line.trim().split(':')[0])).toEqual(['lo']);
		expect(stdout).toContain('127.0.0.1');
		expect(unenforced).toEqual([]);
	});

	test('has the ulimits it was given, and is told of those that it could not be given', async (context) => {
		skipFor(context, reason);
		const ulimits = [
			{ name: 'nofile', soft: 100, hard: 200 },
			{ name: 'core', soft: 0, hard: 0 },
		];
		const { stdout, unenforced } = await run(user, sandbox, 'cat /proc/self/limits', { ulimits });
		expect(stdout).toMatch(/^Max open files +100 +200 /m);
		expect(stdout).toMatch(/^Max core file size +0 +0 /m);
		expect(unenforced).toEqual([]);
	});

	test('is killed when its time is over', async (context) => {
		skipFor(context, reason);
		const script = 'echo begun; setsid sleep 1000 & sleep 1000';
		const { stdout, exit, timedOut } = await run(user, sandbox, script, {}, { timeoutMs: 1500 });
		expect([stdout, exit, timedOut]).toEqual(['begun\n', { type: 'signal', signal: 'SIGKILL' }, true]);
	});

	test('that ends in time is not called late', async (context) => {
		skipFor(context, reason);
		const { exit, timedOut, oom } = await run(user, sandbox, 'exit 3', {}, { timeoutMs: 60_000 });
		expect([exit, timedOut, oom]).toEqual([{ type: 'code', code: 3 }, false, false]);
	});
});

describe.each(SANDBOXES)('root in %s', (sandbox) => {
	test.for<User>(['ourselves', 's2oci-subuid'])(
		'of %s has the capabilities that were not dropped',
		async (user, context) => {
			skipFor(context, lacking(sandbox, 'unshare', 'setpriv') ?? withoutUser(user));
			const capDrop = ['CAP_NET_RAW', 'CAP_CHOWN', 'CAP_SYS_ADMIN'];
			const { stdout } = await run(user, sandbox, 'cat /proc/self/status', { capDrop }, { asRoot: true });
			// bwrap leaves the bounding set; with no new privileges, that gives nothing back.
			const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(stdout)?.[1] ?? ''}`);
			const has = (bit: bigint) => ((effective >> bit) & 1n) === 1n;
			expect([has(0n), has(13n), has(21n)]).toEqual([false, false, false]);
			expect([has(1n), has(6n), has(7n)]).toEqual([true, true, true]);
			const none = await run(user, sandbox, 'cat /proc/self/status', { capDrop: ['ALL'] }, { asRoot: true });
			expect(none.stdout).toMatch(/^CapEff:\s*0{16}$/m);
		},
	);

	test('is killed and named when memory runs out', async (context) => {
		const lackingMemory = lackingControllers('memory');
		skipFor(context, lackingMemory);
		const hog = 'x=$(yes 0123456789012345 | head -n 20000000); echo $?';
		const { exit, oom, unenforced } = await run('ourselves', sandbox, hog, { memory: 64 * MIB });
		expect([exit, oom, unenforced]).toEqual([{ type: 'signal', signal: 'SIGKILL' }, true, []]);
	});

	test('cannot start more processes than it may', async (context) => {
		const lackingPids = lackingControllers('pids');
		skipFor(context, lackingPids);
		const script = 'i=0; while [ $i -lt 100 ]; do sleep 100 & i=$((i + 1)); done; echo all';
		const few = await run('ourselves', sandbox, script, { pids: 20 });
		expect([few.stdout, few.unenforced]).toEqual(['', []]);
		const enough = await run('ourselves', sandbox, script, { pids: 150 });
		expect(enough.stdout).toBe('all\n');
	});

	test('is in a group that has the processors it may use', async (context) => {
		const lackingCpu = lackingControllers('cpu');
		skipFor(context, lackingCpu);
		// Inside, the group is the root of the namespace.
		const seen = new Set<string>();
		const look = setInterval(() => {
			for (const program of programsIn('cpu', 'cpu.cfs_quota_us', '50000')) seen.add(program);
		}, 50);
		const { unenforced } = await run('ourselves', sandbox, 'sleep 2', { cpus: 0.5 }).finally(() => {
			clearInterval(look);
		});
		expect(unenforced).toEqual([]);
		expect([...seen]).toContain('sleep');
	});

	test.for<User>(['s2oci-subuid', 's2oci-plain'])('of %s is not silently without limits', async (user, context) => {
		skipFor(context, lacking(sandbox, 'unshare', 'setpriv') ?? withoutUser(user));
		const { stdout, unenforced } = await run(user, sandbox, 'echo ran', { memory: 64 * MIB, cpus: 1, pids: 50 });
		expect(stdout).toBe('ran\n');
		expect(unenforced?.map((line) => line.split(':')[0]).sort()).toEqual(['--cpus', '--memory', '--pids-limit']);
	});
});
