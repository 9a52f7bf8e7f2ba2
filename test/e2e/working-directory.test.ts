import { describe, expect, test } from 'vitest';
import { build, type Finished, s2oci } from '../support/build.js';
import { leftovers, makeWorkspace, requireRoot, requireUser, type UserName, type Workspace } from '../support/host.js';
import { makeSource, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const REMOVED = ['sh', '-c', 'mkdir gone && cd gone && rmdir "$PWD" && exec "$@"', '-'];
const LOCKED = ['sh', '-c', 'mkdir -m 700 locked && cd locked && exec "$@"', '-'];
const GREETING = { 'greeting.txt': 'hello\n' };

const inRemoved = (workspace: Workspace, args: readonly string[]): Promise<Finished> =>
	s2oci(workspace, args, { wrapper: REMOVED });

describe.each<UserName>(['root', 's2oci-subuid', 's2oci-plain'])('in a removed working directory, as %s,', (name) => {
	test('a build with absolute paths is the same, and the image runs', async (context) => {
		const workspace = makeWorkspace(requireUser(context, name));
		const args = [makeSource(GREETING), `oci:${tinyLayout()}:latest`, `oci:${workspace.root}/image:1`];
		const expected = await build(workspace, args);
		const built = await build(workspace, args, { wrapper: REMOVED });
		expect(built.stdout).toBe(expected.stdout);
		const ran = await inRemoved(workspace, ['run', `oci:${workspace.root}/image:1`, '--', 'pwd']);
		expect(ran).toMatchObject({ status: 0, stdout: '/opt/app-root/src\n' });
		expect(await leftovers(workspace)).toEqual([]);
	});
});

test('in a removed working directory, what needs no path does its work', async () => {
	const workspace = makeWorkspace();
	for (const args of [['--help'], ['build', '--help'], ['doctor'], ['store'], ['prune'], ['completion', 'bash']]) {
		const { status, stdout, stderr } = await inRemoved(workspace, args);
		expect({ args, status, said: `${stdout}${stderr}` !== '' }).toEqual({ args, status: 0, said: true });
	}
});

test('in a removed working directory, each relative path is refused before anything runs', async () => {
	const [source, builder] = [makeSource(GREETING), `oci:${tinyLayout()}:latest`];
	const commands = [
		['build', '.', builder],
		['build', 'app', builder],
		['build', source, 'oci:builder'],
		['build', source, builder, 'oci:image:1'],
		...['--output=oci-archive:i.tar', '--digest-file=d', '--inject=i:/x', '--volume=v:/x'].map((option) => [
			'build',
			source,
			builder,
			option,
		]),
		['build', source, builder, '--result-file', 'r.json'],
		['build', source, builder, '--environment-file=e'],
		['build', source, builder, '--use-config'],
		['run', 'oci:image'],
		['create', 'name', 'directory'],
		['generate', builder, 'Dockerfile'],
	];
	for (const args of commands) {
		const workspace = makeWorkspace();
		const { status, stderr } = await inRemoved(workspace, args);
		expect({ args, status, stderr }).toMatchObject({
			status: 2,
			stderr: expect.stringMatching(/^error: the working directory was removed.*\nhint: .*cd/m) as string,
		});
		expect(stderr).not.toContain('assembling');
		expect(await leftovers(workspace)).toEqual([]);
	}
});

test('a working directory that the user may not enter is no hindrance, nor a bug when it is the source', async (context) => {
	requireRoot(context);
	const workspace = makeWorkspace(requireUser(context, 's2oci-plain'));
	await build(workspace, [makeSource(GREETING), `oci:${tinyLayout()}:latest`], { wrapper: LOCKED });
	const wrapper = ['sh', '-c', 'cd locked && exec "$@"', '-'];
	const failed = await s2oci(workspace, ['build', '.', `oci:${tinyLayout()}:latest`], { wrapper });
	expect(failed.status).toBe(5);
	expect(failed.stderr).toMatch(/cannot be read: EACCES/);
});
