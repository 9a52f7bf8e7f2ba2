import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type Running, type RunOptions, startS2oci } from '../support/build.js';
import { fakePrograms } from '../support/engine.js';
import {
	commandOf,
	leftovers,
	listDirectory,
	makeWorkspace,
	processesOf,
	requirePrograms,
	until,
	type Workspace,
} from '../support/host.js';
import { publishImage } from '../support/layers.js';
import { silentServer } from '../support/silent.js';
import { tarDirectory, tarFile } from '../support/tar.js';
import {
	assembleSource,
	emptyRegistry,
	makeSource,
	TINY_APP,
	tinyLayout,
	tinyRegistry,
	withTinyBuilder,
} from '../support/tiny.js';

withTinyBuilder();

/** A second on a quiet machine; the worker then has five more for what it began to remove. */
const [LIMIT_MS, CLEAN_MS] = [3000, 12_000];
/** What a process may do that is asked to end. */
const IGNORING = "trap '' TERM INT HUP; while :; do sleep 1; done";

interface Phase {
	readonly running: Running;
	/** Whether it is under way. */
	readonly reached: () => boolean;
	readonly status?: number;
	/** What the last line but the hint is. */
	readonly says?: RegExp;
}

type Start = (workspace: Workspace) => Promise<Phase> | Phase;

const builder = (): string => `oci:${tinyLayout()}:latest`;
const buildTiny = (workspace: Workspace, args: readonly string[], options?: RunOptions): Running =>
	startS2oci(workspace, ['build', TINY_APP, ...args, '--copy'], options);

/** Asks a server that never answers, whose address `words` put into the command. */
const asking =
	(words: (host: string, workspace: Workspace) => readonly string[], expected: Partial<Phase> = {}): Start =>
	async (workspace) => {
		const { host, paths } = await silentServer();
		const running = startS2oci(workspace, words(host, workspace));
		return { running, reached: () => paths.length > 0, ...expected };
	};

/** The program of an engine hangs at `command`, as a script whose own programs would outlive it. */
const hanging =
	(program: 'podman' | 'docker', command: string, words: readonly string[], name = 's2oci'): Start =>
	(workspace) => {
		const log = join(workspace.root, 'engine.log');
		const image = JSON.stringify([{ Id: 'a'.repeat(64), RootFS: { Layers: [] } }]);
		const answer = command === 'save' ? `echo '${image}'; exit 0` : 'echo no such image >&2; exit 1';
		const script = `[ "$1" = ${command} ] || { ${answer}; }\necho asked >'${log}'\n${IGNORING}`;
		const PATH = `${fakePrograms(workspace, { [program]: script })}:/usr/sbin:/sbin:${workspace.mark}`;
		const running = buildTiny(workspace, words, { env: { PATH, S2OCI_ENGINE: program, S2OCI_NAME: name } });
		return { running, reached: () => existsSync(log), ...(name === 's2oci' ? {} : { status: 2 }) };
	};

/** A program of an image prints `up` and goes on, whatever it is sent. */
const running =
	(words: (workspace: Workspace) => readonly string[], expected: Partial<Phase> = {}): Start =>
	(workspace) => {
		const started = startS2oci(workspace, words(workspace));
		return { running: started, reached: () => started.stderr().includes('up\n'), ...expected };
	};

/** Another process holds the lock of the store. */
const locked =
	(words: () => readonly string[]): Start =>
	async (workspace) => {
		const lock = join(workspace.store, 'holds.lock');
		mkdirSync(workspace.store);
		const holder = spawn('flock', [lock, 'sh', '-c', 'echo locked; exec sleep 100'], {
			stdio: ['ignore', 'pipe', 'ignore'],
		});
		onTestFinished(() => void holder.kill());
		let isLocked = false;
		holder.stdout.once('data', () => (isLocked = true));
		await until('the lock', () => isLocked);
		const waiting = startS2oci(workspace, words());
		return { running: waiting, reached: () => inScratch(workspace, 'holds') };
	};

/** Whether some build has `path` in its scratch directory. */
function inScratch({ store }: Workspace, path: string): boolean {
	return listDirectory(join(store, 'work')).some((name) => existsSync(join(store, 'work', name, path)));
}

const artifacts = (script: string): string =>
	makeSource({ '.s2i/bin/save-artifacts': `#!/bin/sh\n${script}\n`, '.s2i/bin/assemble': '#!/bin/sh\n' });
const incremental = (script: string) => (): readonly string[] => [
	...['build', artifacts(script), builder(), '--copy', '--incremental', '--previous-image', builder()],
];

const PHASES: Readonly<Record<string, Start>> = {
	'a token server that is silent': async (workspace) => {
		const { host, paths } = await silentServer();
		const bearer = { username: 'ada', password: 'secret' };
		const registry = await tinyRegistry({ bearer, realm: `http://${host}/token` });
		return { running: buildTiny(workspace, [`${registry.host}/builders/tiny`]), reached: () => paths.length > 0 };
	},
	'a git server that is silent': asking((host) => ['build', `http://${host}/app.git`, builder()]),
	'an ssh that ignores signals': (workspace) => {
		const log = join(workspace.root, 'ssh.log');
		const PATH = fakePrograms(workspace, { hang: `echo asked >'${log}'\n${IGNORING}` });
		const env = { GIT_SSH_COMMAND: PATH.replace(/:.*/, '/hang') };
		const started = startS2oci(workspace, ['build', 'ssh://127.0.0.1/app.git', builder()], { env });
		return { running: started, reached: () => existsSync(log) };
	},
	'scripts from a server that is silent': asking((host) => [
		...['build', TINY_APP, builder(), '--copy', '--scripts-url', `http://${host}/scripts`],
	]),
	'a callback that is silent, after the build': asking(
		(host) => ['build', TINY_APP, builder(), '--copy', '--callback-url', `http://${host}/hook`],
		{ status: 0, says: /^built sha256:/m },
	),
	'an assemble, with a callback that is silent': async (workspace) => {
		const { host } = await silentServer();
		const source = assembleSource('echo up >&2; sleep 100');
		return running(() => ['build', source, builder(), '--callback-url', `http://${host}/hook`])(workspace);
	},
	'a save-artifacts that hangs': running(incremental(`echo up >&2; ${IGNORING}`)),
	'a save-artifacts that never ends': async (workspace) => {
		const script =
			'cd /tmp; echo hello >file; while :; do tar -c file | head -c 1024; [ -n "$up" ] || echo up >&2; up=1; done';
		return running(incremental(script))(workspace);
	},
	'podman image inspect': hanging('podman', 'image', ['podman:app']),
	'podman save': hanging('podman', 'save', ['podman:app']),
	'docker load': (workspace) => hanging('docker', 'load', [builder(), 'docker-daemon:app'])(workspace),
	'the look for a name in podman': hanging('podman', 'image', ['app', 'built'], 's2i'),
	'the lock of the store, by a build': locked(() => ['build', TINY_APP, builder(), '--copy']),
	'the lock of the store, by prune': locked(() => ['prune', '--all']),
	'a registry that doctor asks': asking((host) => ['doctor', `${host}/app`]),
	'a registry that generate asks': asking((host, { root }) => ['generate', `${host}/app`, join(root, 'Dockerfile')]),
	'a git server that --as-dockerfile asks': asking((host, { root }) => [
		...['build', `http://${host}/app.git`, builder(), '--as-dockerfile', join(root, 'Dockerfile')],
	]),
	'a program that run runs': running(() => ['run', builder(), '--', 'sh', '-c', `echo up >&2; ${IGNORING}`], {
		says: /up\n$/,
	}),
	'a usage script': running(
		({ root }) => {
			writeFileSync(join(root, 'usage'), `#!/bin/sh\necho up >&2; ${IGNORING}\n`, { mode: 0o755 });
			return ['usage', builder(), '--scripts-url', `file://${root}`];
		},
		{ says: /up\n$/ },
	),
	'a worker that was stopped': async (workspace) => {
		const { host, paths } = await silentServer();
		const started = buildTiny(workspace, [builder(), '--scripts-url', `http://${host}/scripts`]);
		const reached = () => paths.length > 0 && stopWorkers(workspace) > 0;
		return { running: started, reached };
	},
	'a copy of a root with many files': copying,
};

/** Stops the workers of its builds, as job control would; returns how many there are. */
function stopWorkers({ mark }: Workspace): number {
	const workers = processesOf(mark).filter((pid) => /^\S*node .*worker\/main\.js/.test(commandOf(pid)));
	for (const pid of workers) process.kill(pid, 'SIGSTOP');
	return workers.length;
}

/** It is under way when the first of many directories is there. */
async function copying(workspace: Workspace): Promise<Phase> {
	const directories = Array.from({ length: 100 }, (_none, index) => `many/${index}`);
	const members = directories.flatMap((path) => [
		tarDirectory(path),
		...Array.from({ length: 80 }, (_none, index) => tarFile(`${path}/${index}`, 'a')),
	]);
	const image = publishImage(await emptyRegistry(), 'many', { files: members });
	const started = buildTiny(workspace, [image, '--rootfs', 'copy']);
	return { running: started, reached: () => inScratch(workspace, 'builder/rootfs/many/1') };
}

test.for(Object.entries(PHASES).map(([name, start]) => ({ name, start })))(
	'SIGTERM during $name ends s2oci at once and leaves nothing',
	async ({ start }, context) => {
		requirePrograms(context, 'flock', 'git');
		const workspace = makeWorkspace();
		const {
			running: started,
			reached,
			status = 143,
			says = /^error: ended by SIGTERM\nhint: /,
		} = await start(workspace);
		let early: string | undefined;
		void started.finished.then(({ stderr }) => (early = stderr));
		await until('the phase', () => early !== undefined || reached(), 60_000);
		expect(early, 'it ended before that phase').toBeUndefined();
		const begin = Date.now();
		started.child.kill('SIGTERM');
		const finished = await started.finished;
		const took = Date.now() - begin;
		await context.annotate(`ended after ${took} ms`);
		expect(finished.status, finished.stderr).toBe(status);
		expect(finished.stderr).toMatch(new RegExp(says.source, 'm'));
		expect(took).toBeLessThan(LIMIT_MS);
		expect(await leftovers(workspace, CLEAN_MS)).toEqual([]);
		expect(listDirectory(workspace.root)).not.toEqual(expect.arrayContaining(['upload']));
	},
);

test('kill -9 during a copy of a root ends its worker', async () => {
	const workspace = makeWorkspace();
	const { running: started, reached } = await copying(workspace);
	await until('the phase', reached, 60_000);
	started.child.kill('SIGKILL');
	await until('the end of its processes', () => processesOf(workspace.mark).length === 0, LIMIT_MS);
});
