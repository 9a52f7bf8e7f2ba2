import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { planNamespaces } from '../../src/host/user-namespace.js';
import { build, type Finished, type Running, startS2oci } from '../support/build.js';
import {
	commandOf,
	leftovers,
	listDirectory,
	makeWorkspace,
	processesOf,
	requireUser,
	type UserName,
	until,
	type Workspace,
} from '../support/host.js';
import type { TestRegistry } from '../support/registry.js';
import { assembleSource, emptyRegistry, TINY_APP, tinyLayout, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const LIMIT_MS = 5000;
const builder = (): string => `oci:${tinyLayout()}:latest`;
const asked = (registry: TestRegistry, method: string, path: RegExp) => () =>
	registry.requests.some((request) => request.method === method && path.test(request.path));

interface Phase {
	readonly running: Running;
	readonly reached: () => boolean;
}

const phases = {
	pull: async (workspace: Workspace): Promise<Phase> => {
		const registry = await tinyRegistry({ slow: 400 });
		const running = startS2oci(workspace, ['build', TINY_APP, `${registry.host}/builders/tiny`, '--copy']);
		const blobs = () => registry.requests.filter(({ path }) => path.includes('/blobs/'));
		return { running, reached: () => blobs().length > 1 };
	},
	assemble: (workspace: Workspace): Promise<Phase> => {
		const running = startS2oci(workspace, ['build', assembleSource('echo sleeping; sleep 300 & sleep 300'), builder()]);
		return Promise.resolve({ running, reached: () => running.stderr().includes('sleeping\n') });
	},
	push: async (workspace: Workspace): Promise<Phase> => {
		const registry = await emptyRegistry({ slow: 400 });
		const running = startS2oci(workspace, ['build', TINY_APP, builder(), `${registry.host}/team/app`, '--copy']);
		return { running, reached: asked(registry, 'POST', /uploads/) };
	},
};

async function expectClean(workspace: Workspace): Promise<void> {
	expect(await leftovers(workspace)).toEqual([]);
	await build(workspace, [TINY_APP, builder(), '--copy']);
	expect(await leftovers(workspace)).toEqual([]);
}

async function stopped(running: Running, begin: number): Promise<Finished> {
	const finished = await running.finished;
	expect(Date.now() - begin).toBeLessThan(LIMIT_MS);
	return finished;
}

describe.each<UserName>(['root', 's2oci-subuid', 's2oci-plain'])('for %s', (name) => {
	for (const [phase, start] of Object.entries(phases)) {
		test(`SIGINT during ${phase} ends the build with 130 and leaves nothing`, async (context) => {
			const workspace = makeWorkspace(requireUser(context, name));
			const { running, reached } = await start(workspace);
			await until('the phase', reached);
			const begin = Date.now();
			running.child.kill('SIGINT');
			const { status, stderr, stdout, result } = await stopped(running, begin);
			expect({ status, stdout }).toEqual({ status: 130, stdout: '' });
			expect(stderr).toMatch(/error: ended by SIGINT\nhint: /);
			expect(result?.error?.code).toBe('INTERRUPTED');
			await expectClean(workspace);
		});
	}
});

test.each([
	['SIGTERM', 143],
	['SIGHUP', 129],
] as const)('%s ends the build with %i', async (signal, expected) => {
	const workspace = makeWorkspace();
	const { running, reached } = await phases.assemble(workspace);
	await until('the phase', reached);
	const begin = Date.now();
	running.child.kill(signal);
	expect((await stopped(running, begin)).status).toBe(expected);
	await expectClean(workspace);
});

test('an assemble that ignores signals is ended all the same', async () => {
	const workspace = makeWorkspace();
	const running = startS2oci(workspace, [
		...['build', assembleSource("trap '' INT TERM HUP; echo sleeping; while true; do sleep 1; done"), builder()],
	]);
	await until('assemble', () => running.stderr().includes('sleeping'));
	const begin = Date.now();
	running.child.kill('SIGINT');
	expect((await stopped(running, begin)).status).toBe(130);
	await expectClean(workspace);
});

test('SIGINT at any moment, to all processes of the terminal at once, leaves nothing', async () => {
	const workspace = makeWorkspace();
	const registry = await tinyRegistry({ slow: 20 });
	const source = assembleSource('sleep 0.2; dd if=/dev/urandom of=big bs=64k count=64 2>/dev/null');
	for (let round = 0; round < 8; round += 1) {
		const store = `${workspace.store}-${round}`;
		const args = ['build', source, `${registry.host}/builders/tiny`, `${registry.host}/team/app`];
		const running = startS2oci({ ...workspace, store }, args, { wrapper: ['setsid'] });
		await delay(150 + round * 150 + Math.random() * 100);
		const begin = Date.now();
		try {
			process.kill(-Number(running.child.pid), 'SIGINT');
		} catch {
			expect(running.child.exitCode ?? 0).toBe(0);
		}
		const { status, signal, stderr } = await stopped(running, begin);
		// Before our handler is there, the signal itself ends us.
		expect([0, 130], stderr).toContain(signal === 'SIGINT' ? 130 : status);
		expect(stderr).not.toMatch(/^\s+at /m);
		expect(await leftovers({ ...workspace, store })).toEqual([]);
	}
});

test('a second SIGINT ends s2oci at once', async () => {
	const workspace = makeWorkspace();
	const { running, reached } = await phases.assemble(workspace);
	await until('the phase', reached);
	running.child.kill('SIGINT');
	running.child.kill('SIGINT');
	const { status, signal } = await running.finished;
	expect(status === 130 || signal === 'SIGINT').toBe(true);
	await until('the processes to end', () => processesOf(workspace.mark).length === 0, 2000);
	await build(workspace, [TINY_APP, builder(), '--copy']);
	expect(await leftovers(workspace)).toEqual([]);
});

describe('kill -9', () => {
	test('of s2oci ends all it started within two seconds; the next build works and cleans up', async () => {
		const workspace = makeWorkspace();
		const registry = await tinyRegistry({ slow: 60 });
		const source = assembleSource('sleep 0.4; dd if=/dev/urandom of=big bs=64k count=64 2>/dev/null; sleep 0.2');
		for (let round = 0; round < 10; round += 1) {
			const args = ['build', source, `${registry.host}/builders/tiny`, `${registry.host}/team/app`];
			const running = startS2oci({ ...workspace, store: `${workspace.store}-${round % 2}` }, args);
			await delay(60 + round * 170 + Math.random() * 100);
			running.child.kill('SIGKILL');
			await running.finished;
			await until('the processes to end', () => processesOf(workspace.mark).length === 0, 2000);
		}
		for (const store of [0, 1].map((number) => `${workspace.store}-${number}`))
			await expectCleaned({ ...workspace, store });
	});

	test.each(['worker/main.js', 'unshare'])('of %s ends the build with 4 and a hint', async (victim) => {
		const workspace = makeWorkspace();
		const { running, reached } = await phases.assemble(workspace);
		await until('the phase', reached);
		const pids = processesOf(workspace.mark).filter((pid) => {
			const words = commandOf(pid).split(' ');
			return victim === 'unshare'
				? words[0]?.endsWith('unshare')
				: !words[0]?.endsWith('unshare') && commandOf(pid).includes(victim);
		});
		expect(pids.length).toBeGreaterThan(0);
		const begin = Date.now();
		for (const pid of pids) process.kill(pid, 'SIGKILL');
		const { status, stderr, result } = await stopped(running, begin);
		expect(status).toBe(4);
		expect(result?.error?.code).toBe('HOST_WORKER');
		expect(stderr).toMatch(/error: .*worker.*\nhint: .*memory/);
		const left = await leftovers(workspace);
		expect(left.filter((each) => !hasRange() || !each.startsWith('store/work/'))).toEqual([]);
		await expectCleaned(workspace);
	});
});

/** Whether files of a build belong to subordinate ids: those of a worker that was killed, only the next worker can remove. */
function hasRange(): boolean {
	return planNamespaces(process.getuid?.() ?? 0, process.getgid?.() ?? 0)[0]?.kind === 'full';
}

/** A build removes what killed ones left, once they are too old to be a build that has not yet locked its directory. */
async function expectCleaned(workspace: Workspace): Promise<void> {
	const old = Date.now() / 1000 - 660;
	const work = join(workspace.store, 'work');
	for (const name of listDirectory(work)) utimesSync(join(work, name), old, old);
	await build(workspace, [TINY_APP, builder(), '--copy']);
	expect(await leftovers(workspace)).toEqual([]);
}
