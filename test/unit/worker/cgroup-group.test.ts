import { existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeCgroup } from '../../../src/worker/cgroup-group.js';
import { temporaryDirectory } from '../../support/fs.js';
import { listDirectory } from '../../support/host.js';

const MIB = 2 ** 20;
const NONE = { memory: undefined, cpus: undefined, pids: undefined };

/** Directories in the place of control groups; `own` holds the files of the group that we are in. */
function groups(own: Readonly<Record<string, string>> = {}) {
	const directory = temporaryDirectory();
	mkdirSync(join(directory.path, 'own'));
	for (const [name, text] of Object.entries({ 'cgroup.procs': '', ...own })) {
		writeFileSync(join(directory.path, 'own', name), text);
	}
	const made = () => listDirectory(directory.path).filter((name) => name.startsWith('s2oci-'));
	return {
		beside: { version: 2, directory: directory.path, own: join(directory.path, 'own'), build: 'app' } as const,
		below: { version: 1, directory: directory.path, own: directory.path, build: 'app' } as const,
		made,
		read: (file: string) => readFileSync(join(directory.path, made()[0] ?? '', file), 'utf8'),
		has: (file: string) => existsSync(join(directory.path, made()[0] ?? '', file)),
		path: directory.path,
		[Symbol.dispose]: () => directory[Symbol.dispose](),
	};
}

describe('a control group', () => {
	test('of version 2 has the limits that were asked for, and no more', () => {
		using cgroup = groups();
		makeCgroup(cgroup.beside, { ...NONE, memory: 64 * MIB, cpus: 1.5 });
		expect([cgroup.read('memory.max'), cgroup.read('cpu.max')]).toEqual(['67108864', '150000 100000']);
		expect(cgroup.has('pids.max')).toBe(false);
	});

	test('has a name that says whose build it is', () => {
		using cgroup = groups();
		makeCgroup(cgroup.beside, NONE);
		expect(cgroup.made()).toEqual([expect.stringMatching(/^s2oci-app-[0-9a-f]{12}$/)]);
	});

	test('of version 1 has them under its own names', () => {
		using cgroup = groups();
		makeCgroup(cgroup.below, { ...NONE, memory: 64 * MIB, cpus: 0.001 });
		expect(cgroup.read('memory.limit_in_bytes')).toBe('67108864');
		expect([cgroup.read('cpu.cfs_quota_us'), cgroup.read('cpu.cfs_period_us')]).toEqual(['1000', '100000']);
	});

	test('beside ours has our own limits where they are stricter', () => {
		using cgroup = groups({ 'memory.max': '1048576\n', 'cpu.max': '50000 100000\n', 'pids.max': 'max\n' });
		makeCgroup(cgroup.beside, { ...NONE, memory: 64 * MIB, pids: 10 }).leave();
		expect([cgroup.read('memory.max'), cgroup.read('cpu.max')]).toEqual(['1048576', '50000 100000']);
		expect(cgroup.read('pids.max')).toBe('34');
	});

	test('limits processes only when this one is out of it again', () => {
		using cgroup = groups();
		const group = makeCgroup(cgroup.beside, { ...NONE, pids: 10 });
		group.enter();
		expect([cgroup.read('pids.max'), cgroup.read('cgroup.procs')]).toEqual(['max', '0']);
		group.leave();
		expect(cgroup.read('pids.max')).toBe('34');
		expect(readFileSync(join(cgroup.path, 'own', 'cgroup.procs'), 'utf8')).toBe('0');
	});

	test.each([
		['memory.events', 'low 0\noom 2\noom_kill 1\n', true],
		['memory.events', 'low 0\noom 2\noom_kill 0\noom_group_kill 0\n', false],
	])('tells from %s whether memory ran out', (file, text, killed) => {
		using cgroup = groups();
		const group = makeCgroup(cgroup.beside, { ...NONE, memory: MIB });
		expect(group.oomKilled()).toBe(false);
		writeFileSync(join(cgroup.path, cgroup.made()[0] ?? '', file), text);
		expect(group.oomKilled()).toBe(killed);
	});

	test('that a killed build left is removed by the next, one that is new is not', () => {
		using cgroup = groups();
		for (const name of ['s2oci-old', 's2oci-new', 'other']) mkdirSync(join(cgroup.path, name));
		for (const name of ['s2oci-old', 'other']) utimesSync(join(cgroup.path, name), 1, 1);
		makeCgroup(cgroup.below, NONE);
		expect(listDirectory(cgroup.path).filter((name) => !/-[0-9a-f]{12}$/.test(name))).toEqual([
			'other',
			'own',
			's2oci-new',
		]);
	});

	test('that cannot be set up is not left behind', () => {
		using cgroup = groups();
		const parent = { ...cgroup.below, directory: join(cgroup.path, 'missing') };
		expect(() => makeCgroup(parent, { ...NONE, memory: MIB })).toThrow('ENOENT');
		expect(cgroup.made()).toEqual([]);
	});
});
