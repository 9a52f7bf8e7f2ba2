import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { attempt, succeeds } from '../errors.js';
import { fileText } from '../file-text.js';
import type { Limits } from '../sandbox/limits.js';

/** A directory of control groups in which we can make one. */
export interface CgroupParent {
	readonly version: 1 | 2;
	readonly directory: string;
	/** The group that this process is in; `directory` itself, or in version 2 one in it. */
	readonly own: string;
	/** What the names of its groups say whose they are: that of the build's scratch directory. */
	readonly build: string;
}

/** Bytes, processors and processes; undefined is no limit. */
export type GroupLimits = Pick<Limits, 'memory' | 'cpus' | 'pids'>;

/** A control group of one sandboxed process. */
export interface Cgroup {
	/** Moves this process in; throws when it may not. */
	readonly enter: () => void;
	/** Moves this process back to where it was. */
	readonly leave: () => void;
	/** Whether the kernel killed a process in it for want of memory. */
	readonly oomKilled: () => boolean;
	/** Whether the kernel can kill all that is in it at once (version 2, Linux 5.14). */
	readonly isKillable: boolean;
	/** Has it do so, however fast that forks, where it can. Never throws. */
	readonly kill: () => void;
	/** Kills what is left in it and removes it. Never rejects. */
	readonly remove: () => Promise<void>;
}

const PREFIX = 's2oci-';
const KILL = 'cgroup.kill';
/** A sandbox program stays in the group of the process that it runs; runc has the most threads. */
const SANDBOX_PIDS = 24;
const CPU_PERIOD_US = 100_000;
const CPU_QUOTA_MIN_US = 1000;
/** Else the limit would move memory to the disk. Only kernels that account for swap have them. */
const SWAP_FILES: readonly string[] = ['memory.memsw.limit_in_bytes', 'memory.swap.max'];
/** No group is empty for longer than this before it is entered. */
const STALE_MS = 600_000;
const REMOVE_TRIES = 100;
const REMOVE_WAIT_MS = 20;

/** Makes a group with `limits`; one beside our own has its limits, too. Removes those that killed builds left. Throws system errors. */
export function makeCgroup(parent: CgroupParent, limits: GroupLimits): Cgroup {
	removeStale(parent.directory);
	const directory = join(parent.directory, `${PREFIX}${parent.build}-${randomBytes(6).toString('hex')}`);
	mkdirSync(directory, { mode: 0o755 });
	const asked = { ...limits, pids: limits.pids === undefined ? undefined : limits.pids + SANDBOX_PIDS };
	const wanted = parent.own === parent.directory ? asked : strictest(asked, limitsOf(parent.own));
	try {
		for (const [file, value] of parent.version === 1 ? settings1(wanted) : settings2(wanted)) {
			const path = join(directory, file);
			if (!SWAP_FILES.includes(file) || existsSync(path)) writeFileSync(path, value);
		}
	} catch (error) {
		rmdirSync(directory);
		throw error;
	}
	const write = (file: string, value: string) => writeFileSync(join(directory, file), value);
	// The threads of this process do not count as the sandbox's, yet a full group cannot start it.
	const limitPids = (value: string) => {
		if (wanted.pids !== undefined) write('pids.max', value);
	};
	return {
		enter: () => {
			limitPids('max');
			write('cgroup.procs', '0');
		},
		leave: () => {
			writeFileSync(join(parent.own, 'cgroup.procs'), '0');
			limitPids(String(wanted.pids));
		},
		oomKilled: () => {
			const events = readText(join(directory, parent.version === 1 ? 'memory.oom_control' : 'memory.events'));
			return /^oom_kill [1-9]/m.test(events);
		},
		isKillable: existsSync(join(directory, KILL)),
		kill: () => killGroup(directory),
		remove: () => removeGroup(directory),
	};
}

/** Version 1: Documentation/admin-guide/cgroup-v1 of the kernel. */
function settings1({ memory, cpus }: GroupLimits): readonly (readonly [string, string])[] {
	return [
		...(memory === undefined ? [] : [['memory.limit_in_bytes', String(memory)] as const]),
		...(memory === undefined ? [] : [['memory.memsw.limit_in_bytes', String(memory)] as const]),
		...(cpus === undefined ? [] : [['cpu.cfs_period_us', String(CPU_PERIOD_US)] as const]),
		...(cpus === undefined ? [] : [['cpu.cfs_quota_us', quota(cpus)] as const]),
	];
}

/** Version 2: Documentation/admin-guide/cgroup-v2.rst of the kernel. */
function settings2({ memory, cpus }: GroupLimits): readonly (readonly [string, string])[] {
	return [
		...(memory === undefined ? [] : [['memory.max', String(memory)] as const]),
		...(memory === undefined ? [] : [['memory.swap.max', '0'] as const]),
		...(cpus === undefined ? [] : [['cpu.max', `${quota(cpus)} ${CPU_PERIOD_US}`] as const]),
	];
}

function quota(cpus: number): string {
	return String(Math.max(CPU_QUOTA_MIN_US, Math.round(cpus * CPU_PERIOD_US)));
}

/** The limits that a group of version 2 has, else processes would get out of them in a group beside it. */
function limitsOf(group: string): GroupLimits {
	const number = (text: string | undefined) => (/^\d+$/.test(text ?? '') ? Number(text) : undefined);
	const [cpu, period] = readText(join(group, 'cpu.max')).split(' ');
	const cpus = number(cpu);
	return {
		memory: number(readText(join(group, 'memory.max'))),
		cpus: cpus === undefined ? undefined : cpus / Number(period),
		pids: number(readText(join(group, 'pids.max'))),
	};
}

function strictest(a: GroupLimits, b: GroupLimits): GroupLimits {
	const least = (one: number | undefined, other: number | undefined) =>
		one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
	return { memory: least(a.memory, b.memory), cpus: least(a.cpus, b.cpus), pids: least(a.pids, b.pids) };
}

/** What a killed build left is empty by now; a group that is in use is busy and stays. */
function removeStale(directory: string): void {
	for (const name of readdirSync(directory)) {
		const path = join(directory, name);
		// Unless somebody uses it, or removed it first.
		attempt(() => {
			if (name.startsWith(PREFIX) && Date.now() - statSync(path).mtimeMs > STALE_MS) rmdirSync(path);
		});
	}
}

function killGroup(directory: string): void {
	const holdsUs = readText(join(directory, 'cgroup.procs')).split('\n').includes(String(process.pid));
	// Whoever has to know finds what is left.
	if (existsSync(join(directory, KILL)) && !holdsUs) attempt(() => writeFileSync(join(directory, KILL), '1'));
}

async function removeGroup(directory: string): Promise<void> {
	killGroup(directory);
	for (let tries = 0; tries < REMOVE_TRIES && !succeeds(() => rmdirSync(directory)); tries++) {
		// What was killed takes a moment to be gone.
		await delay(REMOVE_WAIT_MS);
	}
}

function readText(path: string): string {
	return fileText(path).trim();
}
