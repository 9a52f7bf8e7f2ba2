import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { makePodman, type Podman } from '../support/engine.js';
import { type HostUser, leftovers, makeWorkspace, requireUser } from '../support/host.js';
import { makeSource, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

/** What the test suites of builder images pass: the image was made here, and nobody is to look for it elsewhere. */
const LOCAL = ['-p', 'never', '--incremental-pull-policy=never'];

/** A git repository, as the suites make one of each test application. */
function application(files: Readonly<Record<string, string>>, user: HostUser | undefined): string {
	const source = makeSource(files);
	const git = (...args: readonly string[]) =>
		execFileSync('git', ['-C', source, '-c', 'user.name=builder', '-c', 'user.email=build@localhost', ...args]);
	git('init', '-q');
	git('add', '-A');
	git('commit', '-q', '-m', 'Sample commit');
	if (user !== undefined) execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, source]);
	return source;
}

function runs({ run }: Podman, image: string, ...options: readonly string[]): string {
	return run('run', '--rm', ...options, image);
}

const RUN = '#!/bin/sh\necho "$GREETING from $(id -u) in $(pwd)"; cat greeting.txt\n';

describe.each(['root', 's2oci-subuid'] as const)('the suite of a builder image, as %s', (name) => {
	test('passes with s2i and podman: usage, build, incremental build, any user, labels and environment', async (context) => {
		const workspace = makeWorkspace(requireUser(context, name));
		const podman = makePodman(context, workspace);
		const usage = await podman.s2i(['usage', ...LOCAL, 'local-builder']);
		expect(usage.stdout).toContain('A busybox builder');
		expect(runs(podman, 'local-builder')).toContain('A busybox builder');

		const source = application(
			{ '.s2i/bin/run': RUN, '.s2i/environment': 'GREETING=hello\n', 'greeting.txt': 'world\n' },
			workspace.user,
		);
		const build = ['build', ...LOCAL, `file://${source}`, 'local-builder', 'local-builder-testapp'];
		const first = await podman.s2i(build);
		expect(first.stdout).toBe(`podman:local-builder-testapp@${podman.inspect('local-builder-testapp').Digest}\n`);
		expect(first.stderr).toContain('try it: podman run --rm -p 8080:8080 local-builder-testapp\n');
		expect(runs(podman, 'local-builder-testapp')).toBe('hello from 1001 in /opt/app-root/src\nworld');
		expect(runs(podman, 'local-builder-testapp', '-u', '12345')).toBe('hello from 12345 in /opt/app-root/src\nworld');
		expect(runs(podman, 'local-builder-testapp', '--user=54321', '-e', 'GREETING=hi')).toContain('hi from 54321');

		const { Config, RootFS } = podman.inspect('localhost/local-builder-testapp:latest');
		const base = podman.inspect('local-builder');
		expect(RootFS.Layers.slice(0, -1)).toEqual(base.RootFS.Layers);
		expect(Config).toMatchObject({ User: '1001', WorkingDir: '/opt/app-root/src', Cmd: ['/tmp/scripts/run'] });
		expect(Config.Env).toEqual([...(base.Config.Env ?? []), 'GREETING=hello']);
		expect(Config.Labels).toMatchObject({
			'io.k8s.display-name': 'local-builder-testapp',
			'io.openshift.s2i.build.image': 'docker.io/library/local-builder:latest',
			'io.openshift.s2i.build.commit.author': 'builder <build@localhost>',
			'io.openshift.s2i.build.commit.message': 'Sample commit',
		});

		const again = await podman.s2i([...build, '--incremental', '--rm']);
		expect(again.stderr).not.toContain('a clean build is made');
		expect(again.stderr).toContain('removed the previous image');
		expect(runs(podman, 'local-builder-testapp')).toContain('world');
		expect(podman.run('images', '-q', '--filter', 'dangling=true')).toBe('');
		expect(await leftovers(workspace)).toEqual([]);
	});
});

test('a rebuild, a run and a Dockerfile take the same names', async (context) => {
	const workspace = makeWorkspace();
	const podman = makePodman(context, workspace);
	const source = makeSource({ '.s2i/bin/run': '#!/bin/sh\ncat greeting.txt\n', 'greeting.txt': 'one\n' });
	await podman.s2i(['build', source, 'local-builder', 'my-app', '-e', 'A=1']);
	const rebuilt = await podman.s2i(['rebuild', 'my-app', 'my-app:v1', '-p', 'never'], { cwd: source });
	expect(rebuilt.stdout).toMatch(/^podman:my-app:v1@sha256:/);
	expect(podman.inspect('my-app:v1').Config.Env).toContain('A=1');
	expect(runs(podman, 'my-app:v1')).toBe('one');
	expect((await podman.s2i(['run', 'my-app'])).stdout).toBe('one\n');
	const dockerfile = `${workspace.root}/context/Dockerfile`;
	await podman.s2i(['build', source, 'local-builder', 'my-app', '--as-dockerfile', dockerfile]);
	podman.run('build', '-q', '-t', 'by-podman', `${workspace.root}/context`);
	expect(runs(podman, 'by-podman')).toBe('one');
});
