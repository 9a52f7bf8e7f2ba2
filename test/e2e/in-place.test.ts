import { execFileSync } from 'node:child_process';
import {
	appendFileSync,
	chmodSync,
	chownSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	realpathSync,
	rmSync,
	writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Finished } from '../support/build.js';
import { removeTree } from '../support/fs.js';
import { leftovers, requirePrograms, requireRoot, until } from '../support/host.js';
import { JOB_USER, type Job } from '../support/job.js';
import { elsewhere, openScene, type Scene, sceneOf } from '../support/live-scene.js';
import { assembleSource, TINY_APP, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const env = { SOURCE_DATE_EPOCH: '1750000000' };
const IN_PLACE = ['--rootfs', 'in-place', '--isolation', 'none'];
const CHANGES = `
cp -R /tmp/src/. .
cd /srv/kept
echo more >> appended
echo same > rewritten
rm replaced; echo new > replaced
mv moved moved-to
rm deleted
ln -sf first turned
ln appended appended-too
touch first
cd ..
rm -r gone; mkdir -p gone/other; echo y > gone/other/file
mkdir new; echo secret > new/closed; chmod 000 new/closed; mkfifo new/fifo
mkdir new/sealed; echo in > new/sealed/file; chmod 555 new/sealed
mkdir new/shut; echo in > new/shut/file; chmod 000 new/shut
ln new/closed new/closed-too
printf 'x' > "new/$(printf 'a\\nb\\377')"
chmod 4755 new
mkdir -p /tmp/made && echo t > /tmp/made/file
`;

/** What the build left in the job besides what assemble made. */
function leftIn({ root }: Job): readonly string[] {
	return ['tmp/src', 'tmp/scripts', 'tmp/artifacts', 'run', 'etc/extra'].filter((path) => existsSync(join(root, path)));
}

beforeEach((context) => {
	requireRoot(context);
	requirePrograms(context, 'umoci', 'unshare', 'chroot', 'ldd');
});

describe('a build in place', () => {
	test('gives the image that the best rung gives, and leaves only what assemble made', async () => {
		const scene = await openScene();
		const { status, stderr, result } = await scene.build(TINY_APP, IN_PLACE);
		expect([status, stderr]).toEqual([0, expect.stringContaining('rung 6 (in place)') as string]);
		expect(result?.rung).toMatchObject({ userNamespace: 'none', rootfs: 'in-place', sandbox: 'none' });
		expect(`${String(result?.layer?.diffId)} ${String(result?.digest)}`).toBe(await elsewhere(scene, TINY_APP));
		expect(leftIn(scene.job)).toEqual([]);
		expect(existsSync(join(scene.job.root, 'opt/app-root/src/assemble-invoked'))).toBe(true);
		expect(await leftovers(scene.job.workspace)).toEqual([]);
	});

	test('sees every kind of change as the best rung does', async () => {
		const scene = await openScene();
		const source = assembleSource(CHANGES, { '.s2i/bin/save-artifacts': '#!/bin/sh\n', 'dir/file': 'f\n' });
		const expected = await elsewhere(scene, source);
		const { stderr, result } = await scene.build(source, IN_PLACE);
		expect(result?.error, stderr).toBeUndefined();
		expect(`${String(result?.layer?.diffId)} ${String(result?.digest)}`).toBe(expected);
		expect(leftIn(scene.job)).toEqual([]);
	});

	test('has no mounts, no folders of the runner and no store in the layer, but scripts even on a mount', async () => {
		const scene = await openScene();
		const write = (path: string) => `mkdir -p ${path}; echo x > ${path}/file\n`;
		const source = assembleSource(
			`cp /tmp/src/greeting.txt .\n[ ! -e /volume ] || { ${write('/volume/x')}${write('/runner/x')}${write('/tmp/store/x')} }`,
		);
		const expected = await elsewhere(scene, source);
		const setup = `mkdir -p $ROOT/volume $ROOT/runner && chmod 777 $ROOT/runner
for each in volume tmp; do mount -t tmpfs -o mode=1777 none $ROOT/$each; done; bind ${source}`;
		const { stderr, result } = await scene.build(source, IN_PLACE, {
			setup,
			env: { ...env, CI_PROJECT_DIR: '/runner' },
		});
		expect(result?.error, stderr).toBeUndefined();
		expect(`${String(result?.layer?.diffId)} ${String(result?.digest)}`).toBe(expected);
	});

	test('is what a user without namespaces gets at last, and downloads no layer that another job had', async () => {
		const { registry, layout } = await openScene({ mount: 'accept' });
		const store = mkdtempSync(join(tmpdir(), 's2oci-store-'));
		onTestFinished(() => removeTree(store));
		chownSync(store, JOB_USER.uid, JOB_USER.gid);
		const first = await sceneOf(registry, layout, store).build(TINY_APP);
		expect(first.result?.error, first.stderr).toBeUndefined();
		expect(first.result?.rung).toMatchObject({ rootfs: 'in-place', sandbox: 'none' });
		expect(first.result?.rung).toMatchObject({ number: 6, advice: expect.any(String) as string });
		const second = await sceneOf(registry, layout, store).build(TINY_APP);
		expect(second.result?.error, second.stderr).toBeUndefined();
		expect(second.stdout).toBe(first.stdout);
		expect(second.result?.bytes.downloaded).toBe(0);
	});

	test('mounts the layers of the builder in the registry instead of sending them', async () => {
		const { build: buildIn } = await openScene({ mount: 'accept' });
		const { result } = await buildIn(TINY_APP, IN_PLACE);
		expect(result?.bytes.uploaded).toBe(result?.layer?.size);
		expect(result?.bytes.mounted).toBeGreaterThan(0);
	});

	test('needs no koffi, but then says what it cannot see', async () => {
		const scene = await openScene();
		const koffi = realpathSync(fileURLToPath(new URL('../../node_modules/@koromix', import.meta.url)));
		const { stderr, result } = await scene.build(TINY_APP, IN_PLACE, { hidden: [koffi] });
		expect(result?.error, stderr).toBeUndefined();
		expect(stderr).toContain('warning: koffi has no binary for this platform: extended attributes are not seen');
		expect(stderr).toContain('warning: --security-opt seccomp: no filter could be set (');
		expect(`${String(result?.layer?.diffId)} ${String(result?.digest)}`).toBe(await elsewhere(scene, TINY_APP));
	});

	test('caches artifacts as other builds do, and finds them again', async () => {
		const [first, second] = [await openScene(), await openScene()];
		const cache = join(second.job.workspace.home, 'cache');
		const setup = `bind ${second.job.workspace.home}`;
		execFileSync('chmod', ['777', second.job.workspace.home]);
		const saved = await first.build(TINY_APP, [...IN_PLACE, '--cache-to', `oci:${cache}`], { setup });
		expect([saved.status, saved.stderr]).toEqual([0, expect.stringContaining('cached ') as string]);
		const { stderr } = await second.build(TINY_APP, [...IN_PLACE, '--cache-from', `oci:${cache}`]);
		expect(stderr).toMatch(/restored \d+ artifacts/);
		expect(existsSync(join(second.job.root, 'opt/app-root/src/save-artifacts-invoked'))).toBe(true);
		expect(leftIn(second.job)).toEqual([]);
	});

	test('shows assemble the CA bundle where it is, and what is injected until it is over', async () => {
		const scene = await openScene();
		const { home } = scene.job.workspace;
		writeFileSync(join(home, 'extra'), 'extra\n');
		const script = 'cat "$SSL_CERT_FILE" /srv/injected/extra > seen; cat /srv/injected/extra';
		writeFileSync(join(home, 'ca.crt'), rootCertificates.join('\n'));
		const more = [...IN_PLACE, '--ca-bundle', join(home, 'ca.crt'), '--inject', `${join(home, 'extra')}:/srv/injected`];
		const setup = 'mkdir $ROOT/srv/injected; chmod 777 $ROOT/srv/injected';
		const { stderr, result } = await scene.build(assembleSource(script), more, { setup });
		expect(result?.error, stderr).toBeUndefined();
		const seen = readFileSync(join(scene.job.root, 'opt/app-root/src/seen'), 'utf8');
		expect(seen.endsWith('extra\n')).toBe(true);
		expect(existsSync(join(scene.job.root, 'srv/injected/extra'))).toBe(false);
	});
});

describe('a container that is not the builder', () => {
	async function refused(
		change: (root: string) => void,
		more: readonly string[] = IN_PLACE,
	): Promise<Finished & { readonly scene: Scene }> {
		const scene = await openScene();
		change(scene.job.root);
		const finished = await scene.build(TINY_APP, more);
		expect(finished.status).toBe(4);
		expect(leftIn(scene.job)).toEqual([]);
		return { ...finished, scene };
	}

	test('is told by os-release, and what the image of the job should be', async () => {
		const { result, stderr, scene } = await refused((root) => appendFileSync(join(root, 'etc/os-release'), 'X=1\n'));
		expect(result?.error).toMatchObject({
			code: 'HOST_NOT_BUILDER',
			message: expect.stringContaining('/etc/os-release') as string,
			hint: expect.stringMatching(/image: \S+\/builders\/tiny\S*@sha256:/) as string,
		});
		expect(stderr).toContain(scene.registry.host);
	});

	test('is told by a changed script of the same size', async () => {
		const { result } = await refused((root) => {
			const path = join(root, 'usr/libexec/s2i/run');
			writeFileSync(path, readFileSync(path, 'utf8').replace('page', 'PAGE'));
		});
		expect(result?.error?.message).toContain('/usr/libexec/s2i/run');
	});

	test('downloads nothing when it has no scripts at all', async () => {
		const { result, scene } = await refused((root) => rmSync(join(root, 'usr/libexec/s2i/assemble')));
		expect(result?.error?.code).toBe('HOST_NOT_BUILDER');
		expect(
			scene.registry.requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/')),
		).toHaveLength(1);
	});

	test('is the second reason why a user without namespaces cannot build', async () => {
		const { result } = await refused((root) => appendFileSync(join(root, 'etc/os-release'), 'X=1\n'), []);
		expect(result?.error).toMatchObject({
			code: 'HOST_NO_NAMESPACES',
			message: expect.stringMatching(/(?:unshare|setgroups).*\/etc\/os-release/s) as string,
			hint: expect.stringMatching(/image: .*@sha256:.*max_user_namespaces/s) as string,
		});
	});
});

describe('what cannot be done in place', () => {
	test.each([
		['a destination that is there already', [], 'tmp/src', '"/tmp/src" of this container exists already'],
		['a volume', ['--volume', '/tmp:/opt/x'], undefined, '--volume cannot be used in place'],
		['building twice', ['--check-reproducible'], undefined, '--check-reproducible cannot be used in place'],
		['a test of the image', ['--before-push', 'true'], undefined, '--before-push cannot be used in place'],
		['a runtime image', ['--runtime-image', 'BUILDER'], undefined, 'a runtime image cannot be used in place'],
	] as const)('is refused: %s', async (_what, more, made, message) => {
		const scene = await openScene();
		if (made !== undefined) mkdirSync(join(scene.job.root, made));
		const builder = `${scene.registry.host}/builders/tiny`;
		const words = more.map((word) => (word === 'BUILDER' ? builder : word));
		const { status, result } = await scene.build(TINY_APP, [...IN_PLACE, ...words]);
		expect([status, result?.error?.code]).toEqual([4, 'HOST_IN_PLACE']);
		expect(result?.error?.message).toContain(message);
		expect(existsSync(join(scene.job.root, 'tmp/src'))).toBe(made !== undefined);
	});

	test('is refused: a WORKDIR on a volume, which is in no layer', async () => {
		const scene = await openScene();
		const setup = 'mount -t tmpfs -o mode=1777 none $ROOT/opt/app-root/src';
		const { result } = await scene.build(TINY_APP, IN_PLACE, { setup });
		expect(result?.error).toMatchObject({
			code: 'HOST_IN_PLACE',
			message: expect.stringContaining('WORKDIR /opt/app-root/src') as string,
		});
		expect(leftIn(scene.job)).toEqual([]);
	});

	test('is refused: a container that this user may not write', async () => {
		const scene = await openScene();
		chmodSync(join(scene.job.root, 'tmp'), 0o755);
		const setup = 'mkdir $ROOT/tmp/store; chown 100001 $ROOT/tmp/store';
		const { result } = await scene.build(TINY_APP, IN_PLACE, { setup });
		expect(result?.error).toMatchObject({
			code: 'HOST_IN_PLACE',
			message: 'user 100001 may not make "/tmp/src" in this container',
		});
	});

	test('is refused: a second build, whose layer would lack what the first has left', async () => {
		const scene = await openScene();
		await scene.build(TINY_APP, IN_PLACE);
		const { result } = await scene.build(assembleSource('true'), IN_PLACE);
		expect(result?.error).toMatchObject({
			code: expect.stringMatching(/^HOST_(?:IN_PLACE|NOT_BUILDER)$/) as string,
		});
		const other = await openScene();
		await other.build(assembleSource('echo x > made'), IN_PLACE);
		const { result: again } = await other.build(assembleSource('true'), IN_PLACE);
		expect(again?.error?.message).toContain('a build was made in this container before');
	});

	test('is left out with a warning: the artifacts of the previous image', async () => {
		const scene = await openScene();
		const { status, stderr } = await scene.build(TINY_APP, [...IN_PLACE, '--incremental']);
		expect([status, stderr]).toEqual([0, expect.stringContaining('a clean build is made') as string]);
	});
});

describe('a build in place that does not end well', () => {
	test('takes out what it had put in when assemble fails', async () => {
		const scene = await openScene();
		const source = assembleSource(
			'mkdir /tmp/src/sealed; echo x > /tmp/src/sealed/x; chmod 555 /tmp/src/sealed; exit 3',
		);
		const { status, result } = await scene.build(source, IN_PLACE);
		expect([status, result?.error?.code]).toEqual([1, 'ASSEMBLE_FAILED']);
		expect(leftIn(scene.job)).toEqual([]);
		expect(await leftovers(scene.job.workspace)).toEqual([]);
	});

	test('ends all that assemble has started when it is interrupted', async () => {
		const scene = await openScene();
		const source = assembleSource('(sleep 1000 &) ; echo waiting; sleep 1000');
		const { words, job } = scene;
		const running = job.start([...words(source), ...IN_PLACE], { env, setup: `bind ${source}` });
		await until('assemble to begin', () => running.stderr().includes('waiting'));
		running.child.kill('SIGTERM');
		const { status } = await running.finished;
		expect(status).toBe(143);
		expect(leftIn(job)).toEqual([]);
		expect(await leftovers(job.workspace)).toEqual([]);
	});
});
