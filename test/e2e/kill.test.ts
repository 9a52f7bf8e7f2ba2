import { rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { agreement } from '../support/agreement.js';
import { build, startS2oci } from '../support/build.js';
import { commandOf, leftovers, listDirectory, processesOf, until, type Workspace } from '../support/host.js';
import type { TestRegistry } from '../support/registry.js';
import { type Arranged, arrange, CHROOT, describeRung, rungOf } from '../support/rung.js';
import { assembleSource, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const RUNGS = [rungOf('root', 'runc'), rungOf('s2oci-subuid', 'crun'), rungOf('s2oci-plain', 'bwrap'), CHROOT];
/** In all, at moments of a build's life that nobody chose. */
const KILLS = 52;
const AT_ONCE = 4;
const LIFE_MS = 2500;
/** The kernel ends the processes of a namespace only when their disk has answered, and it may have much to do. */
const LIMIT_MS = 600_000;
const VICTIMS = { parent: /^\S*node \S*bin\/s2oci\.js build/, worker: /^\S*node .*worker\/main\.js/ } as const;
/** Has children, a daemon among them, and much to pack. */
const SCRIPT = `
sleep 300 & (sleep 301 &)
dd if=/usr/bin/env of=big bs=64k count=30 2>/dev/null || true
for i in 1 2 3 4 5 6 7 8; do sleep 0.1; echo $i > file-$i; done`;

/** Starts a build, kills its parent or its worker at any moment, and waits until nothing of it runs. */
async function killOne(
	number: number,
	source: string,
	registry: TestRegistry,
	{ workspace, args, options }: Arranged,
): Promise<string> {
	const own: Workspace = { ...workspace, mark: `${workspace.mark}-${number}-` };
	const words = ['build', source, `${registry.host}/builders/tiny`, `${registry.host}/team/app:${number}`];
	const running = startS2oci(own, [...words, '--build-env', `MARK=${own.mark}`, ...args], options);
	const victim = number % 2 === 0 ? 'parent' : 'worker';
	await delay(Math.random() * LIFE_MS);
	const pids = processesOf(own.mark).filter((pid) => VICTIMS[victim].test(commandOf(pid)));
	for (const pid of pids) {
		try {
			process.kill(pid, 'SIGKILL');
		} catch {
			// It had just ended.
		}
	}
	const { stderr } = await running.finished;
	expect(stderr).not.toMatch(/BUG|this is a bug|^\s+at /m);
	const alive = () => processesOf(own.mark).map(commandOf);
	await until(`the end of ${victim}'s processes`, () => alive().length === 0, 5000).catch((error: unknown) => {
		throw new Error(`${String(error)}: ${alive().join('; ')}`);
	});
	return pids.length === 0 ? 'missed' : victim;
}

/** A build removes what killed ones left, once they are too old to be a build that has not yet locked its directory. */
function age({ store }: Workspace): void {
	const old = Date.now() / 1000 - 660;
	const work = join(store, 'work');
	for (const name of listDirectory(work)) utimesSync(join(work, name), old, old);
}

const layers = agreement('the layer');

test.for(RUNGS)(
	'kill -9 at any moment leaves nothing that the next build does not remove, on rung $number',
	{ timeout: LIMIT_MS },
	async (rung, context) => {
		const arranged = arrange(rung, context);
		const { workspace, args, options } = arranged;
		const registry = await tinyRegistry({ slow: 15 });
		const source = assembleSource(SCRIPT);
		const numbers = Array.from({ length: KILLS / RUNGS.length }, (_none, index) => index);
		const outcomes: string[] = [];
		const work = async () => {
			for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
				outcomes.push(await killOne(number, source, registry, arranged));
			}
		};
		await Promise.all(Array.from({ length: AT_ONCE }, work));
		expect(outcomes, describeRung(rung)).toHaveLength(KILLS / RUNGS.length);
		expect(new Set(outcomes).size).toBeGreaterThan(1);
		expect((await leftovers(workspace, 0)).filter((left) => !left.startsWith('store/work/'))).toEqual([]);
		age(workspace);
		const after = [source, `${registry.host}/builders/tiny`, `${registry.host}/team/app:after`];
		const { result } = await build(workspace, [...after, ...args], options);
		expect(await leftovers(workspace)).toEqual([]);
		layers.add(String(result.layer?.diffId));
	},
);
layers.isTested();

test('a worker that was killed is what failed, also when another build has removed its scratch directory meanwhile', async (context) => {
	const { workspace, args, options } = arrange(RUNGS[0] ?? CHROOT, context);
	const registry = await tinyRegistry({ slow: 15 });
	const source = assembleSource('sleep 1');
	const numbers = Array.from({ length: 16 }, (_none, index) => index);
	let killed = 0;
	const work = async () => {
		for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
			const own: Workspace = {
				...workspace,
				store: join(workspace.root, `store-${number}`),
				mark: `${workspace.mark}-${number}-`,
			};
			const words = ['build', source, `${registry.host}/builders/tiny`, `${registry.host}/team/app:${number}`];
			const running = startS2oci(own, [...words, '--build-env', `MARK=${own.mark}`, ...args], options);
			await delay(200 + (number / 16) * 1000);
			const [parent, worker] = [VICTIMS.parent, VICTIMS.worker].map((name) =>
				processesOf(own.mark).find((pid) => name.test(commandOf(pid))),
			);
			if (parent !== undefined && worker !== undefined) {
				killed++;
				process.kill(parent, 'SIGSTOP');
				process.kill(worker, 'SIGKILL');
				const isWorker = (pid: number) => VICTIMS.worker.test(commandOf(pid));
				await until('the end of the worker', () => !processesOf(own.mark).some(isWorker), 5000);
				// As others do with what nobody holds.
				const names = listDirectory(join(own.store, 'work'));
				for (const name of names.filter((each) => names.includes(`${each}.lock`))) {
					rmSync(join(own.store, 'work', name), { recursive: true, force: true });
				}
				process.kill(parent, 'SIGCONT');
			}
			const { stderr } = await running.finished;
			expect(stderr).not.toMatch(/BUG|this is a bug|^\s+at /m);
		}
	};
	await Promise.all(Array.from({ length: AT_ONCE }, work));
	expect(killed).toBeGreaterThan(3);
});
