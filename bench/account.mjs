// CPU time of all processes of a run: of a cgroup of its own, or of the processes that were waited for.
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { atEnd } from './cleanup.mjs';

const SETTLE_MS = 60_000;
const JOIN = 'echo 0 > "$1/cgroup.procs" && shift && exec "$@"';
const TIMES = 'file=$1; shift; "$@"; status=$?; times > "$file"; exit $status';

/** Whether runs can have cgroups here, and where: the mount point of cgroup v2 when this process may make groups in it. */
export function findCgroups() {
	const [, mount] = /^\d+ \d+ \S+ \S+ (\S+) .* - cgroup2 /m.exec(readFileSync('/proc/self/mountinfo', 'utf8')) ?? [];
	if (mount === undefined || process.getuid() !== 0) return undefined;
	const parent = join(mount, `bench-s2oci-${process.pid}`);
	try {
		mkdirSync(parent);
	} catch {
		return undefined;
	}
	if (!existsSync(join(parent, 'cpu.stat'))) {
		rmdirSync(parent);
		return undefined;
	}
	atEnd(() => rmdirSync(parent));
	return parent;
}

/** `{ wrap(argv), close() }`: `wrap` gives the command line that is counted, `close` the CPU time of all that ran, in ms. */
export function openAccount(cgroups, directory) {
	return cgroups === undefined ? accountOfChildren(directory) : accountOfGroup(cgroups);
}

let groups = 0;

function accountOfGroup(parent) {
	const group = join(parent, `run-${++groups}`);
	mkdirSync(group);
	const remove = atEnd(() => {
		endMembers(group);
		rmdirSync(group);
	});
	const wrap = (argv) => ['/bin/sh', '-c', JOIN, 'sh', group, ...argv];
	return {
		wrap,
		async close() {
			await untilEmpty(group);
			const [, microseconds] = /^usage_usec (\d+)$/m.exec(readFileSync(join(group, 'cpu.stat'), 'utf8'));
			remove();
			return Number(microseconds) / 1000;
		},
	};
}

/** What a tool leaves running in the background is part of its work. */
async function untilEmpty(group) {
	const limit = performance.now() + SETTLE_MS;
	while (isPopulated(group) && performance.now() < limit) await sleep(20);
}

const isPopulated = (group) => readFileSync(join(group, 'cgroup.events'), 'utf8').includes('populated 1');

function endMembers(group) {
	if (!isPopulated(group)) return;
	writeFileSync(join(group, 'cgroup.kill'), '1');
	const limit = performance.now() + 5000;
	while (isPopulated(group) && performance.now() < limit)
		Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
}

function accountOfChildren(directory) {
	const files = [];
	return {
		wrap(argv) {
			files.push(join(directory, `times-${files.length}`));
			return ['/bin/sh', '-c', TIMES, 'sh', files.at(-1), ...argv];
		},
		close: async () => files.reduce((sum, file) => sum + readTimes(file), 0),
	};
}

/** The second line of what `times` prints: user and system time of the children that were waited for. */
function readTimes(file) {
	const [, children = ''] = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
	const parts = [...children.matchAll(/(\d+)m([\d.]+)s/g)];
	return 1000 * parts.reduce((sum, [, minutes, seconds]) => sum + 60 * Number(minutes) + Number(seconds), 0);
}
