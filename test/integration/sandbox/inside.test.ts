import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { NO_LIMITS } from '../../../src/sandbox/limits.js';
import type { Profile } from '../../../src/sandbox/profile.js';
import type { SandboxName } from '../../../src/sandbox/sandboxes.js';
import { lacking } from '../../support/fs.js';
import { skipFor } from '../../support/needs.js';
import { busyboxLayer, openSessions, type SessionPlan, type User, withoutUser } from '../worker/session.js';

const LAYER = busyboxLayer();
const SANDBOXES: readonly SandboxName[] = ['bwrap', 'runc', 'crun', 'chroot'];
const USERS: readonly User[] = ['ourselves', 's2oci-subuid', 's2oci-plain'];
const CANARY = 'canary-5d1b';
const EXDEV = 18;

/** The mode of the filter that we have ourselves, which holds for all that we start. */
function outerFilter(): string {
	return /^Seccomp:\s*(\d)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
}

const combinations = USERS.flatMap((user) => SANDBOXES.map((sandbox) => [user, sandbox] as const));

describe.each(combinations)('a process of %s in %s', (user, sandbox) => {
	const reason = withoutUser(user) ?? lacking(sandbox, 'unshare', 'setpriv');
	const run = async (plan: Omit<SessionPlan, 'layers' | 'sandboxes'>) => {
		using sessions = openSessions(user);
		const result = await sessions.run({ layers: [LAYER], sandboxes: [sandbox], ...plan });
		expect(result.error).toBeUndefined();
		expect(result.left).toEqual([]);
		return result;
	};

	test('sees what a container sees and nothing of us', async (context) => {
		skipFor(context, reason);
		const { stdout, exit, userNamespace, stderr } = await run({
			env: { CI_JOB_TOKEN: CANARY, NODE_OPTIONS: '--no-warnings' },
			process: { env: { PATH: '/bin', HOME: '/opt/app', LINES: 'one\ntwo', EMPTY: '' } },
			script: [
				'echo "hostname $(hostname)"',
				'echo "umask $(umask)"',
				'echo "cwd $PWD $(readlink /proc/self/cwd)"',
				'echo "id $(id -u):$(id -g) $(id -G)"',
				'cat /proc/self/status',
				'echo to-stderr > /dev/stderr; echo to-stdout > /dev/stdout',
				'echo "processes" /proc/[0-9]*',
				'for p in /proc/[0-9]*; do echo "environ $p $(cat $p/environ 2>/dev/null)"; done',
				'env | while read -r line; do echo "env $line"; done',
			].join('\n'),
		});
		expect([exit, stderr]).toEqual([{ type: 'code', code: 0 }, 'to-stderr\n']);
		const single = userNamespace === 'single' && (sandbox === 'runc' || sandbox === 'crun');
		expect(stdout).toContain('hostname s2oci\n');
		expect(stdout).toContain('umask 0022\n');
		expect(stdout).toContain('cwd /opt/app /opt/app\n');
		expect(stdout).toContain('to-stdout\n');
		expect(stdout).toMatch(single ? /^id 0:0 /m : /^id 1001:0 /m);
		expect(stdout).toMatch(/^NoNewPrivs:\s*1$/m);
		for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
			expect(stdout).toMatch(new RegExp(`^${set}:\\s*0{16}$`, 'm'));
		}
		expect(stdout).not.toContain(CANARY);
		expect(stdout).not.toContain('NODE_OPTIONS');
		expect(stdout).toMatch(/^processes( \/proc\/\d{1,2}){1,4}$/m);
	});

	test.for(['1001', '0'])('as user %s finds no program of the host running (CVE-2019-5736)', async (uid, context) => {
		skipFor(context, reason);
		const { stdout } = await run({
			process: { user: { uid: Number(uid), gid: 0, additionalGids: [] } },
			script: 'for p in /proc/[0-9]*; do readlink "$p/exe"; done | sort -u; readlink /proc/1/exe',
		});
		expect(stdout).toBe('/bin/sh\n/bin/sh\n');
	});

	test.for(['1001', '0'])('as user %s reaches no keyring, no sysctl and no user namespace', async (uid, context) => {
		skipFor(context, reason);
		const { stdout } = await run({
			process: { user: { uid: Number(uid), gid: 0, additionalGids: [] } },
			script: [
				'grep -E "^Seccomp:" /proc/self/status',
				'unshare -U true 2>/dev/null && echo "a user namespace"',
				'cat /proc/keys /proc/timer_list /proc/interrupts 2>/dev/null | grep -q . && echo "files of the kernel"',
				'for name in kernel/core_pattern kernel/modprobe vm/stat_interval; do',
				'	v=$(cat /proc/sys/$name) && (echo "$v" > /proc/sys/$name) 2>/dev/null && echo "wrote $name"',
				'done',
				'exit 0',
			].join('\n'),
		});
		expect(stdout).toBe('Seccomp:\t2\n');
	});

	test('has the filter that was asked for, or none', async (context) => {
		skipFor(context, reason);
		const script = 'grep -E "^Seccomp:" /proc/self/status; mkdir /tmp/a && echo made; exit 0';
		const profile: Profile = {
			defaultAction: 'SCMP_ACT_ALLOW',
			syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: EXDEV }],
		};
		const none = await run({ script, execute: { limits: { ...NO_LIMITS, seccomp: 'unconfined' } } });
		expect(none.stdout).toBe(`Seccomp:\t${outerFilter()}\nmade\n`);
		const other = await run({ script, execute: { limits: { ...NO_LIMITS, seccomp: profile } } });
		expect(other.stdout).toBe('Seccomp:\t2\n');
		expect(other.stderr).toContain('Invalid cross-device link');
	});

	test('has no files open but its standard streams (CVE-2024-21626)', async (context) => {
		skipFor(context, reason);
		const { stdout } = await run({ script: 'ls /proc/$$/fd; exit 0' });
		expect(stdout).toBe('0\n1\n2\n');
	});

	test('has exactly the environment it was given', async (context) => {
		skipFor(context, reason);
		const env = { PATH: '/bin', LINES: 'one\ntwo', EMPTY: '', A: '=b=' };
		const { stdout } = await run({
			env: { CI_JOB_TOKEN: CANARY },
			script: '',
			process: { argv: ['/bin/cat', '/proc/self/environ'], env },
		});
		const seen = stdout.split('\0').filter((line) => line !== '' && !/^(?:PWD|HOME)=/.test(line));
		expect(seen.sort()).toEqual(
			Object.entries(env)
				.map(([name, value]) => `${name}=${value}`)
				.sort(),
		);
	});

	test('reports its status', async (context) => {
		skipFor(context, reason);
		expect((await run({ script: 'exit 42' })).exit).toEqual({ type: 'code', code: 42 });
	});

	test('reports the signal that killed it', async (context) => {
		skipFor(context, reason);
		const { exit } = await run({ script: "sh -c 'kill -9 $$'; exit $?" });
		expect(exit).toEqual({ type: 'signal', signal: 'SIGKILL' });
	});

	test('gets all its output through, and takes what it left running with it', async (context) => {
		skipFor(context, reason);
		const script = 'setsid sleep 1000 & yes 0123456789 | head -n 100000; yes e | head -n 1000 >&2';
		const { stdout, stderr, forwarded } = await run({ script });
		expect(forwarded).toEqual({ stdout: 1_100_000, stderr: 2000 });
		expect([stdout.length, stderr.length]).toEqual([1_100_000, 2000]);
	});
});
