import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { descendantsOf, killAll, listProcesses } from '../../../src/linux/processes.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Its first thread ends as by pthread_exit(3) does, while the others, which are Node's own, run on. */
const WITHOUT_FIRST_THREAD = `
	import koffi from 'koffi';
	koffi.load(null).func('void pthread_exit(void *value)')(null);
`;

/** No system has as many processes (PID_MAX_LIMIT). */
const NOBODY = 5_000_000;
const dead = (pid: number) => ({ pid, parent: 1, group: pid, session: 1, runs: false });

test('a process whose first thread has ended still runs, and is killed', async () => {
	const child = spawn(process.execPath, ['--input-type=module', '--eval', WITHOUT_FIRST_THREAD], { cwd: ROOT });
	const gone = once(child, 'exit');
	const isZombie = () => readFileSync(`/proc/${String(child.pid)}/stat`, 'latin1').includes(') Z ');
	await expect.poll(isZombie, { timeout: 20_000 }).toBe(true);
	expect(await listProcesses()).toContainEqual(expect.objectContaining({ pid: child.pid, runs: true }));
	const left = await killAll((processes) => processes.filter(({ pid }) => pid === child.pid));
	expect(left).toEqual([]);
	expect(await gone).toEqual([null, 'SIGKILL']);
});

test('what descends from a process is found through one whose first thread has ended', () => {
	const entry = (pid: number, parent: number, runs: boolean) => ({ pid, parent, group: pid, session: 1, runs });
	const processes = [entry(10, 1, true), entry(11, 10, false), entry(12, 11, true), entry(20, 1, true)];
	expect(descendantsOf(10, processes).map(({ pid }) => pid)).toEqual([11, 12]);
});

test('our own process is there, with its parent', async () => {
	expect(await listProcesses()).toContainEqual(
		expect.objectContaining({ pid: process.pid, parent: process.ppid, runs: true }),
	);
});

test('one that forks and ends all the time, so that only its dead are ever seen, is reported', {
	timeout: 20_000,
}, async () => {
	let last = NOBODY;
	const left = await killAll(() => [dead(++last)]);
	expect(left).toEqual([last]);
});

test('the dead that nobody waits for are no reason to fail', async () => {
	expect(await killAll(() => [dead(NOBODY)])).toEqual([]);
});

test('what seems dead is killed too, since it may become a process again while it is looked at', async () => {
	const child = spawn('sleep', ['60']);
	const gone = once(child, 'exit');
	await once(child, 'spawn');
	expect(await killAll(() => [{ ...dead(NOBODY), pid: Number(child.pid) }])).toEqual([]);
	expect(await gone).toEqual([null, 'SIGKILL']);
});

test('what a dead one has in its process group is killed, though only the dead one is seen', async () => {
	const child = spawn('sleep', ['60'], { detached: true });
	const gone = once(child, 'exit');
	await once(child, 'spawn');
	expect(await killAll(() => [{ ...dead(NOBODY), group: Number(child.pid) }])).toEqual([]);
	expect(await gone).toEqual([null, 'SIGKILL']);
});
