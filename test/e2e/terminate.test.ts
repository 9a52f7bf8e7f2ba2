import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type Running, startS2oci } from '../support/build.js';
import { commandOf, leftovers, processesOf, until, type Workspace } from '../support/host.js';
import type { Faults, TestRegistry } from '../support/registry.js';
import { arrange, CHROOT, rungOf, type TestRung } from '../support/rung.js';
import { assembleSource, emptyRegistry, TINY_APP, tinyLayout, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

/** A second on a quiet machine; the worker then has five more for what it began to remove. */
const [LIMIT_MS, CLEAN_MS] = [3000, 12_000];
const PARENT = /^\S*node \S*bin\/s2oci\.js build/;
const LARGE = 'i=0; while [ $i -lt 200 ]; do cat /usr/bin/env; i=$((i+1)); done >big; echo made';
const MANY = `i=0; while [ $i -lt 200 ]; do mkdir d$i; i=$((i+1)); done
i=0; while [ $i -lt 20000 ]; do : >d$((i % 200))/$i; i=$((i+1)); done; echo made`;

/** So many files that their removal takes seconds. */
function leaveBehind({ store, user }: Workspace): void {
	const left = join(store, 'work/aaaaaaaaaaaa');
	for (let directory = 0; directory < 300; directory++) {
		mkdirSync(join(left, String(directory)), { recursive: true });
		for (let file = 0; file < 300; file++) writeFileSync(join(left, String(directory), String(file)), '');
	}
	writeFileSync(`${left}.lock`, '');
	if (user !== undefined) execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, store]);
	chmodSync(store, 0o700);
}

interface Phase {
	readonly running: Running;
	/** Whether it is under way. */
	readonly reached: () => boolean;
	/** How long after that the signal comes. */
	readonly afterMs?: number;
	/** Whether it goes on until the signal comes; else the build may be over before, on a fast machine. */
	readonly lasts?: boolean;
}

type Start = (workspace: Workspace, words: readonly string[], options: object) => Promise<Phase>;

const builder = (): string => `oci:${tinyLayout()}:latest`;
const asked = ({ requests }: TestRegistry, path: RegExp) => requests.some((request) => path.test(request.path));

/** A builder in a registry that is slow to answer. */
const pulling =
	(faults: Faults, path: RegExp): Start =>
	async (workspace, words, options) => {
		const registry = await tinyRegistry(faults);
		const args = ['build', TINY_APP, `${registry.host}/builders/tiny`, '--copy', ...words];
		return { running: startS2oci(workspace, args, options), reached: () => asked(registry, path), lasts: true };
	};

/** A while after assemble said `made`. */
const made =
	(script: string, afterMs: number, lasts = false): Start =>
	(workspace, words, options) => {
		const running = startS2oci(workspace, ['build', assembleSource(script), builder(), ...words], options);
		return Promise.resolve({ running, reached: () => running.stderr().includes('made\n'), afterMs, lasts });
	};

const PHASES: Readonly<Record<string, Start>> = {
	'resolving the builder': pulling({ slow: 5000 }, /manifests/),
	'downloading its layers': pulling({ slow: 400 }, /blobs/),
	'removing what a build left that was killed': (workspace, words, options) => {
		leaveBehind(workspace);
		const running = startS2oci(workspace, ['build', assembleSource('true'), builder(), ...words], options);
		return Promise.resolve({ running, reached: () => running.stderr().includes('resolve took'), afterMs: 1500 });
	},
	'an assemble that ignores signals': made("trap '' INT TERM HUP; echo made; while true; do sleep 1; done", 0, true),
	'the end of an assemble that made many files': made(MANY, 0),
	'finding many changes': made(MANY, 150),
	'packing many files': made(MANY, 500),
	'removing many files': made(MANY, 1500),
	'packing a large file': made(LARGE, 500),
	uploading: async (workspace, words, options) => {
		const registry = await emptyRegistry({ slow: 400 });
		const args = ['build', TINY_APP, builder(), `${registry.host}/team/app`, '--copy', ...words];
		return { running: startS2oci(workspace, args, options), reached: () => asked(registry, /uploads/), lasts: true };
	},
};

const RUNGS: readonly TestRung[] = [rungOf('root', 'runc'), rungOf('s2oci-plain', 'bwrap', 'copy'), CHROOT];
const CASES = RUNGS.flatMap((rung) => Object.entries(PHASES).map(([name, start]) => ({ rung, name, start })));

test.for(CASES)(
	'SIGTERM while $name ends s2oci at once, on rung $rung.number',
	async ({ rung, name, start }, context) => {
		const { workspace, args, options } = arrange(rung, context);
		const { running, reached, afterMs = 0, lasts = false } = await start(workspace, args, options);
		await until(name, reached, 60_000);
		await delay(afterMs);
		const begin = Date.now();
		for (const pid of processesOf(workspace.mark).filter((each) => PARENT.test(commandOf(each)))) {
			process.kill(pid, 'SIGTERM');
		}
		const { status } = await running.finished;
		const took = Date.now() - begin;
		await context.annotate(`ended after ${took} ms`);
		expect(status).toBeOneOf(lasts ? [143] : [143, 0]);
		expect(took).toBeLessThan(LIMIT_MS);
		expect(await leftovers(workspace, CLEAN_MS)).toEqual([]);
	},
);
