import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import koffi from 'koffi';
import { describe, expect, test } from 'vitest';
import { fsPath } from '../../../src/root-path.js';
import type { SandboxName } from '../../../src/sandbox/sandboxes.js';
import { findUnified } from '../../../src/worker/cgroup-place.js';
import { lacking } from '../../support/fs.js';
import { requireRoot } from '../../support/host.js';
import { skipFor } from '../../support/needs.js';
import { busyboxLayer, openSessions, type SessionStore, type User, withoutUser } from './session.js';

const LIMIT_MS = 1000;
/** A second on a quiet machine. */
const LOADED_MS = 3000;
const LAYER = busyboxLayer();
const CASES: readonly (readonly [User, SandboxName])[] = [
	['ourselves', 'bwrap'],
	['ourselves', 'runc'],
	['s2oci-subuid', 'runc'],
	['s2oci-plain', 'bwrap'],
	['ourselves', 'chroot'],
	['s2oci-plain', 'chroot'],
];

/** Processes whose command line or environment has `mark`. */
function processesWith(mark: string): readonly number[] {
	return readdirSync('/proc')
		.filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
		.filter((pid) => ['cmdline', 'environ'].some((file) => read(`/proc/${pid}/${file}`).includes(mark)))
		.map(Number);
}

function read(path: string): string {
	try {
		return readFileSync(path, 'latin1');
	} catch {
		return '';
	}
}

/** landlock_create_ruleset(2) with nothing but the flag that asks for it; negative where there is none. */
function landlockVersion(): number {
	return koffi.load(null).func('long syscall(long number, void *, size_t, unsigned int)')(444, null, 0, 1) as number;
}

/** How long it takes until `isTrue`, in milliseconds. */
async function timeUntil(isTrue: () => boolean): Promise<number> {
	const start = Date.now();
	while (!isTrue() && Date.now() - start < 10_000) await delay(10);
	return Date.now() - start;
}

/** A session whose process runs until it is stopped; `mark` is in the environment of all its processes. */
async function startLong(sessions: SessionStore, sandbox: SandboxName, mark: string) {
	const running = sessions.start({
		layers: [LAYER],
		sandboxes: [sandbox],
		process: { env: { PATH: '/bin', MARK: mark } },
		script: 'setsid sleep 1000 & echo started > /tmp/started; sleep 1000',
		env: { PATH: `/usr/bin:/bin:/usr/sbin:/sbin:/nonexistent/${mark}` },
	});
	await running.step('execute');
	await timeUntil(() => processesWith(`MARK=${mark}`).length >= 2);
	return running;
}

const workOf = ({ store }: SessionStore) => (existsSync(join(store, 'work')) ? readdirSync(join(store, 'work')) : []);
const mountsOf = (mark: string) =>
	read('/proc/self/mountinfo')
		.split('\n')
		.filter((line) => line.includes(mark));

describe.each(CASES)('a build of %s in %s', (user, sandbox) => {
	const reason = withoutUser(user) ?? lacking(sandbox, 'unshare', 'setpriv');

	test('leaves nothing behind when its parent is killed', async (context) => {
		skipFor(context, reason);
		using sessions = openSessions(user);
		const mark = `parent-${sandbox}-${user}-${process.pid}`;
		const { driver } = await startLong(sessions, sandbox, mark);
		driver.kill('SIGKILL');
		expect(await timeUntil(() => processesWith(mark).length === 0)).toBeLessThan(LOADED_MS);
		expect(await timeUntil(() => workOf(sessions).length === 0)).toBeLessThan(LOADED_MS);
		expect(mountsOf(sessions.path)).toEqual([]);
	});

	test('ends all processes when its worker is killed, and the next one removes what is left', async (context) => {
		skipFor(context, reason);
		using sessions = openSessions(user);
		const mark = `worker-${sandbox}-${user}-${process.pid}`;
		const { driver, result } = await startLong(sessions, sandbox, mark);
		const workers = processesWith(mark).filter((pid) => read(`/proc/${pid}/cmdline`).includes('worker/main.js'));
		expect(workers.length).toBeGreaterThan(0);
		for (const pid of workers) process.kill(pid, 'SIGKILL');
		const { error } = await result;
		expect(error).toMatchObject({ code: 'HOST_WORKER' });
		await timeUntil(() => driver.exitCode !== null);
		expect(await timeUntil(() => processesWith(mark).length === 0)).toBeLessThan(LIMIT_MS);
		expect(mountsOf(sessions.path)).toEqual([]);
		const next = await sessions.run({ layers: [LAYER], sandboxes: [sandbox], script: 'echo ran' });
		expect([next.error, next.stdout, next.left]).toEqual([undefined, 'ran\n', []]);
	});

	test('has nothing above its root, also for who gets a descriptor of it', async (context) => {
		skipFor(context, reason ?? (process.getuid?.() === 0 ? undefined : 'only root can look at the roots of others'));
		using sessions = openSessions(user);
		const mark = `above-${sandbox}-${user}-${process.pid}`;
		const { driver, result } = await startLong(sessions, sandbox, mark);
		const roots = processesWith(`MARK=${mark}`).map((pid) => `/proc/${pid}/root`);
		expect(roots.length).toBeGreaterThan(0);
		for (const root of roots) expect(statSync(`${root}/../../../../..`).ino, root).toBe(statSync(`${root}/`).ino);
		driver.kill('SIGTERM');
		await result.catch(() => undefined);
	});

	test('removes the scratch directory of a build that died with its worker', async (context) => {
		skipFor(context, reason);
		using sessions = openSessions(user);
		const mark = `both-${sandbox}-${user}-${process.pid}`;
		const { driver } = await startLong(sessions, sandbox, mark);
		const workers = processesWith(mark).filter((pid) => read(`/proc/${pid}/cmdline`).includes('worker/main.js'));
		driver.kill('SIGSTOP');
		for (const pid of workers) process.kill(pid, 'SIGKILL');
		driver.kill('SIGKILL');
		await timeUntil(() => processesWith(mark).length === 0);
		expect(workOf(sessions).length).toBeGreaterThan(0);
		const next = await sessions.run({ layers: [LAYER], sandboxes: [sandbox], script: 'echo ran' });
		expect([next.error, next.stdout, next.left]).toEqual([undefined, 'ran\n', []]);
	});
});

/** Takes a worker half a minute, in which it looks at nothing else. */
const LONG = Array.from({ length: 10_000 }, (_none, number) => `/${'a/'.repeat(250)}${number}`);
const BUSY: readonly (readonly [User, boolean])[] = [
	['ourselves', false],
	['s2oci-subuid', false],
	['s2oci-plain', false],
	['ourselves', true],
];

describe.each(BUSY)('a worker of %s, without namespaces: %s,', (user, withoutNamespaces) => {
	const reason = withoutUser(user) ?? lacking('unshare', 'setpriv');

	test('ends when its parent is killed while it is busy', async (context) => {
		skipFor(context, reason);
		if (withoutNamespaces) requireRoot(context);
		using sessions = openSessions(user);
		const mark = `busy-${user}-${String(withoutNamespaces)}-${process.pid}`;
		const running = sessions.start({
			layers: [LAYER],
			inspect: { stat: LONG, read: [] },
			env: { PATH: `/usr/bin:/bin:/usr/sbin:/sbin:/nonexistent/${mark}` },
			withoutNamespaces,
		});
		await running.step('inspect');
		await delay(1000);
		const [driver = 0] = processesWith(mark).filter((pid) => read(`/proc/${pid}/cmdline`).includes('session.mjs'));
		expect(driver).toBeGreaterThan(0);
		process.kill(driver, 'SIGKILL');
		await delay(100);
		expect(processesWith(mark).length).toBeGreaterThan(0);
		expect(await timeUntil(() => processesWith(mark).length === 0)).toBeLessThan(LOADED_MS);
	});
});

/** Whether the kernel can kill a control group as a whole here. */
function killsGroups(): boolean {
	const place = findUnified(read('/proc/self/cgroup'), read('/proc/self/mountinfo'));
	if (place === undefined) return false;
	const group = join(fsPath(place.own).toString(), `test-${process.pid}`);
	try {
		mkdirSync(group);
	} catch {
		return false;
	}
	try {
		return existsSync(join(group, 'cgroup.kill'));
	} finally {
		rmdirSync(group);
	}
}

test('a build waits for a clean-up that takes long', async (context) => {
	skipFor(context, lacking('bwrap', 'unshare', 'setpriv'));
	using sessions = openSessions('ourselves');
	const mark = `slow-${process.pid}`;
	const { step, result } = sessions.start({
		layers: [LAYER],
		sandboxes: ['bwrap'],
		process: { env: { PATH: '/bin' } },
		script: 'mkdir /many; cd /many; seq 30000 | xargs touch',
		env: { PATH: `/usr/bin:/bin:/usr/sbin:/sbin:/nonexistent/${mark}` },
	});
	await step('close');
	const workers = processesWith(mark).filter((pid) => read(`/proc/${pid}/cmdline`).includes('worker/main.js'));
	for (const pid of workers) process.kill(pid, 'SIGSTOP');
	await delay(12_000);
	expect(workOf(sessions)).not.toEqual([]);
	for (const pid of workers) process.kill(pid, 'SIGCONT');
	expect(await result).toMatchObject({ left: [] });
	expect((await result).error).toBeUndefined();
});

test('what forks, leaves its session and ends all the time is killed where there is no pid namespace', async (context) => {
	skipFor(
		context,
		process.getuid?.() === 0 ? lacking('unshare', 'setpriv') : 'only root has a root directory of its own',
	);
	skipFor(context, killsGroups() ? undefined : 'the kernel cannot kill a control group as a whole here');
	using sessions = openSessions();
	const mark = `hopper-${process.pid}`;
	const { exit, error } = await sessions.run({
		layers: [LAYER],
		sandboxes: ['chroot'],
		process: { env: { PATH: '/bin', MARK: mark } },
		script:
			"printf '#!/bin/sh\\nsetsid /tmp/hop &\\n' >/tmp/hop; chmod 755 /tmp/hop; for i in 1 2 3 4 5 6 7 8 9; do /tmp/hop; done; sleep 0.2",
		withoutNamespaces: true,
	});
	expect([exit, error]).toEqual([{ type: 'code', code: 0 }, undefined]);
	expect(processesWith(`MARK=${mark}`)).toEqual([]);
});

test('what only a changed root directory keeps in cannot reach processes outside of it', async (context) => {
	skipFor(
		context,
		process.getuid?.() === 0 ? lacking('unshare', 'setpriv') : 'only root has a root directory of its own',
	);
	skipFor(context, landlockVersion() >= 6 ? undefined : 'the kernel has no Landlock of version 6');
	using sessions = openSessions();
	const { exit, error, stdout } = await sessions.run({
		layers: [LAYER],
		sandboxes: ['chroot'],
		script:
			'mkdir a b && echo x > a/x && mv a/x b/y && ln b/y a/z && cat a/z; kill -0 $$ && echo own; kill -0 $PPID || echo kept',
		withoutNamespaces: true,
	});
	expect([exit, error, stdout]).toEqual([{ type: 'code', code: 0 }, undefined, 'x\nown\nkept\n']);
});

describe('scratch directories of other builds', () => {
	test('stay while their build runs or is about to begin', async () => {
		using sessions = openSessions();
		const mark = `other-${process.pid}`;
		const { driver, build } = await startLong(sessions, 'bwrap', mark);
		mkdirSync(join(sessions.store, 'work/beginning'));
		writeFileSync(join(sessions.store, 'work/beginning/file'), '');
		const next = await sessions.run({ layers: [LAYER], script: 'echo ran' });
		expect(next.left).toEqual(['beginning', build, `${build}.lock`].sort());
		driver.kill('SIGKILL');
		await timeUntil(() => processesWith(mark).length === 0);
	});
});
