import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lackingControllers } from '../integration/sandbox/cgroups.js';
import { s2oci } from '../support/build.js';
import { leftovers, makeWorkspace, requireUser, type UserName, type Workspace } from '../support/host.js';
import { skipFor } from '../support/needs.js';
import { assembleSource, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

async function run(workspace: Workspace, script: string, options: readonly string[]) {
	const output = `oci:${join(workspace.home, 'image')}:latest`;
	const args = ['build', assembleSource(script), `oci:${tinyLayout()}:latest`, '--output', output, ...options];
	const finished = await s2oci(workspace, args);
	expect(await leftovers(workspace)).toEqual([]);
	return { ...finished, said: finished.stdout + finished.stderr };
}

describe.each<UserName>(['root', 's2oci-subuid', 's2oci-plain'])('a build by %s', (name) => {
	test('without network, with more hosts and with ulimits', async (context) => {
		const workspace = makeWorkspace(requireUser(context, name));
		const script = `
			test "$(grep -c : /proc/net/dev)" = 1 && echo only loopback
			grep '^10.0.0.7' /etc/hosts
			grep 'open files' /proc/self/limits`;
		const options = ['--network', 'none', '--add-host', 'registry.example:10.0.0.7', '--ulimit', 'nofile=300:400'];
		const { status, said } = await run(workspace, script, options);
		expect(said).toContain('only loopback');
		expect(said).toMatch(/10\.0\.0\.7\s+registry\.example/);
		expect(said).toMatch(/Max open files +300 +400/);
		expect(status).toBe(0);
	});

	test('ends when assemble takes longer than --timeout', async (context) => {
		const workspace = makeWorkspace(requireUser(context, name));
		const { status, stderr } = await run(workspace, 'echo begun; sleep 1000', ['--timeout', '2s']);
		expect(status).toBe(1);
		expect(stderr).toContain('--timeout');
		expect(stderr).toContain('begun');
	});
});

describe('memory, processors and processes', () => {
	const limits = ['--memory', '64m', '--cpus', '0.5', '--pids-limit', '60'];

	test('of root are limited, and running out of memory is named', async (context) => {
		const lacking = lackingControllers('memory') ?? lackingControllers('cpu') ?? lackingControllers('pids');
		skipFor(context, lacking);
		const workspace = makeWorkspace();
		const { status, stderr } = await run(workspace, 'x=$(yes 0123456789012345 | head -n 20000000)', limits);
		expect(status).toBe(1);
		expect(stderr).toContain('--memory');
		expect(stderr).not.toContain('not enforced');
	});

	test('of a user who may not make control groups are said not to be enforced, one by one', async (context) => {
		const workspace = makeWorkspace(requireUser(context, 's2oci-plain'));
		const { status, stderr } = await run(workspace, 'echo ran', limits);
		expect(status).toBe(0);
		for (const option of ['--memory', '--cpus', '--pids-limit']) expect(stderr).toContain(`${option}:`);
	});
});
