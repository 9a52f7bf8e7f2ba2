import { expect, test } from 'vitest';
import { build, s2oci } from '../support/build.js';
import { startDocker } from '../support/dockerd.js';
import { leftovers, makeWorkspace } from '../support/host.js';
import { makeSource, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const RUN = '#!/bin/sh\necho "$GREETING from $(id -u)"; cat greeting.txt\n';

test('a Docker daemon gives the builder, takes the image, and runs it; what it holds is what a layout holds', async (context) => {
	const workspace = makeWorkspace();
	const docker = await startDocker(context, workspace);
	const source = makeSource({ '.s2i/bin/run': RUN, '.s2i/environment': 'GREETING=hello\n', 'greeting.txt': 'world\n' });
	const asS2i = { env: { ...docker.env, S2OCI_NAME: 's2i' } };

	const first = await s2oci(workspace, ['build', source, 'local-builder', 'my-app'], asS2i);
	expect(first.status, first.stderr).toBe(0);
	expect(first.stderr).toContain('try it: docker run --rm -p 8080:8080 my-app');
	expect(docker.run('run', '--rm', '--network', 'host', 'my-app')).toBe('hello from 1001\nworld');
	const stored = docker.inspect('my-app:latest');
	expect(stored.Id).toBe(first.result?.configDigest);
	expect(stored.RootFS.Layers.slice(0, -1)).toEqual(docker.inspect('local-builder').RootFS.Layers);
	expect(stored.Config.Labels).toMatchObject({ 'io.k8s.display-name': 'my-app' });

	const again = await s2oci(workspace, ['build', source, 'local-builder', 'my-app', '--incremental'], asS2i);
	expect([again.status, again.stderr]).toEqual([0, expect.not.stringContaining('a clean build is made') as string]);
	const layout = `oci:${workspace.root}/layout`;
	const copy = await build(
		workspace,
		[source, 'docker-daemon:local-builder', layout, '-o', 'docker-daemon:team/app:2'],
		{
			env: docker.env,
		},
	);
	expect(docker.inspect('team/app:2').Id).toBe(copy.result.configDigest);
	const rebuilt = await s2oci(workspace, ['rebuild', 'my-app', 'my-app:v1', '-p', 'never'], { ...asS2i, cwd: source });
	expect([rebuilt.status, docker.run('run', '--rm', '--network', 'host', 'my-app:v1')], rebuilt.stderr).toEqual([
		0,
		'hello from 1001\nworld',
	]);
	const usage = await s2oci(workspace, ['usage', 'local-builder'], asS2i);
	expect(usage.stdout).toContain('A busybox builder');
	const missing = await s2oci(workspace, ['build', source, 'docker-daemon:none', 'docker-daemon:x'], {
		env: docker.env,
	});
	expect([missing.status, missing.stderr]).toEqual([3, expect.stringContaining('docker has no image none') as string]);
	expect(await leftovers(workspace)).toEqual([]);
});
