import { describe, expect, test } from 'vitest';
import { build, s2oci, startS2oci } from '../support/build.js';
import { leftovers, makeWorkspace, requireUser, type UserName, until, type Workspace } from '../support/host.js';
import { makeSource, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

/** An application that greets, and fails when it is told to, as the layout it returns. */
async function application(workspace: Workspace): Promise<string> {
	const source = makeSource({
		'.s2i/bin/run': `#!/bin/sh\necho "hello from $(id -u)"; echo aside >&2; test -z "$SLEEP" || { trap '' INT; sleep 300; }; exit 3\n`,
		'greeting.txt': 'hello\n',
	});
	const image = `oci:${workspace.root}/image:1`;
	await build(workspace, [source, `oci:${tinyLayout()}:latest`, image]);
	return image;
}

describe.each<UserName>(['root', 's2oci-subuid', 's2oci-plain'])('s2oci run by %s', (name) => {
	test("runs the command of the image; its output and exit status are the program's own", async (context) => {
		const workspace = makeWorkspace(requireUser(context, name));
		const image = await application(workspace);
		const { status, stdout, stderr } = await s2oci(workspace, ['run', image, '-q']);
		expect({ status, stdout, stderr }).toEqual({ status: 3, stdout: 'hello from 1001\n', stderr: 'aside\n' });
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('runs what stands behind --, with --env, and passes a death by signal on', async (context) => {
		const workspace = makeWorkspace(requireUser(context, name));
		const image = await application(workspace);
		const shown = await s2oci(workspace, [
			'run',
			image,
			'-q',
			'-e',
			'GREETING=hi',
			'--',
			'sh',
			'-c',
			'echo "$GREETING $1"',
			'-',
			'--x',
		]);
		expect({ status: shown.status, stdout: shown.stdout }).toEqual({ status: 0, stdout: 'hi --x\n' });
		const missing = await s2oci(workspace, ['run', image, '-q', '--', '/no/such/program']);
		expect(missing.status).not.toBe(0);
		expect(missing.status).not.toBe(70);
		expect(missing.stderr).toContain('/no/such/program');
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('ends promptly on SIGINT and leaves nothing', async (context) => {
		const workspace = makeWorkspace(requireUser(context, name));
		const running = startS2oci(workspace, ['run', await application(workspace), '-e', 'SLEEP=1']);
		await until('the program', () => running.stderr().includes('aside'));
		const begin = Date.now();
		running.child.kill('SIGINT');
		expect((await running.finished).status).toBe(130);
		expect(Date.now() - begin).toBeLessThan(3000);
		expect(await leftovers(workspace)).toEqual([]);
	});
});
