import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { build, s2oci, startS2oci } from '../support/build.js';
import { decoded, pulled } from '../support/built.js';
import { fakePrograms, makePodman } from '../support/engine.js';
import { findProgram, leftovers, makeWorkspace, until, type Workspace } from '../support/host.js';
import { emptyRegistry, readLayout, TINY_APP, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

/** A podman that first does what `script` says, with `$log` for a file of the test; then it is the host's own. */
function watchedPodman(workspace: Workspace, script: string): { readonly PATH: string; readonly log: string } {
	const log = join(workspace.root, 'podman.log');
	const real = findProgram('podman') ?? '';
	const PATH = fakePrograms(workspace, { podman: `log=${log}\n${script}\nexec ${real} "$@"` });
	return { PATH, log };
}

const commandsIn = (log: string) =>
	(existsSync(log) ? readFileSync(log, 'utf8') : '').split('\n').filter((line) => line !== '' && line !== 'image');

describe('an image of podman as the builder', () => {
	test('is saved once, and never while the store has its layers; the result has what the engine has', async (context) => {
		const workspace = makeWorkspace();
		const podman = makePodman(context, workspace);
		const { PATH, log } = watchedPodman(workspace, 'echo "$1" >> "$log"');
		const env = { ...podman.env, PATH };
		const args = [TINY_APP, 'podman:local-builder', 'podman:my-app', '--copy', '--loglevel=1'];
		const first = await build(workspace, args, { env });
		expect(commandsIn(log)).toEqual(['save', 'load']);
		expect(first.stderr).toContain(`loaded podman:my-app@${first.result.digest}`);
		const second = await build(workspace, args, { env });
		expect(commandsIn(log)).toEqual(['save', 'load', 'load']);
		expect(second.result.digest).toBe(first.result.digest);
		expect(second.result.bytes.downloaded).toBe(0);
		const stored = podman.inspect('my-app');
		expect(stored.Digest).toBe(first.result.digest);
		expect(`sha256:${stored.Id}`).toBe(first.result.configDigest);
		expect(first.stdout).toBe(`podman:my-app@${stored.Digest}\n`);
		expect(podman.run('run', '--rm', `my-app@${stored.Digest}`, 'id', '-u')).toBe('1001');
	});

	test('gives a registry and a layout the same image', async (context) => {
		const [workspace, registry] = [makeWorkspace(), await emptyRegistry()];
		const podman = makePodman(context, workspace);
		const layout = join(workspace.root, 'layout');
		const args = [
			TINY_APP,
			'containers-storage:local-builder',
			`${registry.host}/app`,
			'-o',
			`oci:${layout}`,
			'--copy',
			'--loglevel=1',
		];
		const { result, stderr } = await build(workspace, args, { env: podman.env });
		expect(stderr).toContain(`pushed ${registry.host}/app:latest@${result.digest}`);
		expect(stderr).toContain(`written oci:${layout}@${result.digest}`);
		const { manifest, config } = await decoded(readLayout(layout));
		expect((await pulled(registry, 'app')).manifest).toEqual(manifest);
		expect(config.rootfs.diff_ids.slice(0, -1)).toEqual(podman.inspect('local-builder').RootFS.Layers);
		expect(result.builder?.name).toBe('podman:local-builder');
	});

	test('that is not there is one clear error', async (context) => {
		const workspace = makeWorkspace();
		const { env } = makePodman(context, workspace);
		const { status, stderr, stdout, result } = await s2oci(workspace, ['build', TINY_APP, 'podman:none', 'oci:x'], {
			env,
		});
		expect({ status, stdout, code: result?.error?.code }).toEqual({ status: 3, stdout: '', code: 'ENGINE_NO_IMAGE' });
		expect(stderr).toContain('error: podman has no image none\nhint: `podman images` lists');
		expect(await leftovers(workspace)).toEqual([]);
	});
});

describe('podman as the target', () => {
	test('gets all layers of an image of a registry, and those of its own when it asks for them', async (context) => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		const podman = makePodman(context, workspace);
		await build(workspace, [TINY_APP, `${registry.host}/builders/tiny`, 'podman:team/app:1', '--copy'], {
			env: podman.env,
		});
		expect(podman.run('run', '--rm', 'localhost/team/app:1', 'cat', 'greeting.txt')).toBe(
			readFileSync(join(TINY_APP, 'greeting.txt'), 'utf8').trim(),
		);
		const refusing = 'if [ "$1" = load ] && [ ! -e "$log" ]; then cat > "$log"; echo no >&2; exit 125; fi';
		const { PATH, log } = watchedPodman(workspace, refusing);
		const args = [TINY_APP, 'podman:local-builder', 'podman:whole', '--copy'];
		const { result } = await build(workspace, args, { env: { ...podman.env, PATH } });
		expect(readFileSync(log).length).toBeLessThan(100_000);
		expect(podman.inspect('whole').Digest).toBe(result.digest);
	});

	test('that cannot be reached is found out before anything runs', async (context) => {
		const workspace = makeWorkspace();
		const podman = makePodman(context, workspace);
		const env = { ...podman.env, CONTAINER_HOST: 'unix:///nonexistent/podman.sock' };
		const args = ['build', TINY_APP, '127.0.0.1:1/never/asked', 'podman:my-app', '--copy'];
		const { status, stderr, result } = await s2oci(workspace, args, { env });
		expect({ status, code: result?.error?.code }).toEqual({ status: 3, code: 'ENGINE_UNAVAILABLE' });
		expect(stderr).toContain('hint: Start its socket');
		expect(stderr).not.toContain('assemble begins');
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('is ended with the build, and nothing is loaded', async (context) => {
		const workspace = makeWorkspace();
		const podman = makePodman(context, workspace);
		const { PATH, log } = watchedPodman(workspace, 'if [ "$1" = load ]; then echo > "$log"; exec sleep 60; fi');
		const env = { ...podman.env, PATH };
		const running = startS2oci(workspace, ['build', TINY_APP, 'podman:local-builder', 'podman:my-app', '--copy'], {
			env,
		});
		await until('the engine loads', () => existsSync(log), 60_000);
		await delay(100);
		running.child.kill('SIGTERM');
		expect((await running.finished).status).toBe(143);
		expect(await leftovers(workspace)).toEqual([]);
		expect(() => podman.inspect('my-app')).toThrow();
	});
});

describe('docker', () => {
	test.each([
		['Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?', 'Start the Docker daemon'],
		['permission denied while trying to connect: dial unix /var/run/docker.sock: permission denied', 'group docker'],
	])('that says %j is not reached', async (said, hint) => {
		const workspace = makeWorkspace();
		const PATH = fakePrograms(workspace, { docker: `echo '${said}' >&2; exit 1` });
		const args = ['build', TINY_APP, 'docker-daemon:builder', 'oci:x', '--copy'];
		const { status, stderr, result } = await s2oci(workspace, args, { env: { PATH } });
		expect({ status, code: result?.error?.code }).toEqual({ status: 3, code: 'ENGINE_UNAVAILABLE' });
		expect(stderr).toContain(hint);
	});
});

describe('a tag that names no registry', () => {
	test('is refused by s2oci before anything runs, with the ways out', async () => {
		const workspace = makeWorkspace();
		const { status, stderr } = await s2oci(workspace, ['build', '/nonexistent', '127.0.0.1:1/x', 'team/app:1']);
		expect(status).toBe(2);
		expect(stderr).toContain('error: team/app:1 does not say where the image goes');
		for (const way of ['registry.example/team/app:1', 'podman:team/app:1', '--output oci:DIR', 'docker.io/']) {
			expect(stderr).toContain(way);
		}
	});

	test('is refused by s2i where there is no engine', async () => {
		const workspace = makeWorkspace();
		const env = { S2OCI_NAME: 's2i', S2OCI_ENGINE: 'none' };
		const { status, stderr } = await s2oci(workspace, ['build', TINY_APP, '127.0.0.1:1/x', 'app'], { env });
		expect(status).toBe(1);
		expect(stderr).toContain('there is no local engine (S2OCI_ENGINE is none)');
	});

	test('of s2i goes to podman, with a builder that only a registry has', async (context) => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		const podman = makePodman(context, workspace);
		const { stderr } = await podman.s2i(['build', TINY_APP, `${registry.host}/builders/tiny`, 'app', '--copy']);
		expect(stderr).toContain('is read from its registry, podman has none; app goes to podman (');
		expect(podman.inspect('localhost/app:latest').Config.User).toBe('1001');
	});
});
