import { appendFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { build, type Finished, type RunOptions, s2oci } from '../support/build.js';
import { listenForCallback } from '../support/callback.js';
import { leftovers, makeWorkspace, requireUser, type UserName, type Workspace } from '../support/host.js';
import { assembleSource, emptyRegistry, TINY_APP, tinyLayout, tinyRegistry, withTinyBuilder } from '../support/tiny.js';
import { withWorkerCode } from '../support/worker-code.js';

withTinyBuilder();

const THROW = fileURLToPath(new URL('../support/throw-when.mjs', import.meta.url));
const builder = (): string => `oci:${tinyLayout()}:latest`;
const injected = (when: string, kind: string, after = 20): RunOptions => ({
	env: { NODE_OPTIONS: `--import=${THROW}`, THROW_WHEN: when, THROW_KIND: kind, THROW_AFTER: String(after) },
});

const phases = {
	pull: async () => {
		const registry = await tinyRegistry({ slow: 300 });
		return { args: [TINY_APP, `${registry.host}/builders/tiny`, '--copy'], when: 'resolve took' };
	},
	assemble: () => ({ args: [assembleSource('echo sleeping; sleep 300 & sleep 300'), builder()], when: 'sleeping' }),
	push: async () => {
		const registry = await emptyRegistry({ slow: 1000 });
		return { args: [TINY_APP, builder(), `${registry.host}/team/app`, '--copy'], when: 'pack took' };
	},
};

async function expectReported(finished: Finished, workspace: Workspace, bodies: readonly unknown[]): Promise<void> {
	const { status, stdout, stderr, result } = finished;
	expect({ status, stdout, success: result?.success, code: result?.error?.code }, stderr).toEqual({
		...{ status: 70, stdout: '', success: false, code: 'BUG' },
	});
	expect(stderr.match(/^error: /gm)).toHaveLength(1);
	expect(stderr).toMatch(/hint: this is a bug in s2oci/);
	expect(stderr).not.toContain('s3cret');
	expect(bodies).toEqual([{ success: false }]);
	expect(await leftovers(workspace)).toEqual([]);
}

describe.each<[keyof typeof phases, string]>([
	['pull', 'throw'],
	['pull', 'reject'],
	['assemble', 'throw'],
	['assemble', 'reject'],
	['assemble', 'text'],
	['assemble', 'nothing'],
	['assemble', 'event'],
	['assemble', 'many'],
	['push', 'throw'],
	['push', 'reject'],
])('during %s', (phase, kind) => {
	test(`what is thrown (${kind}) ends as 70, with result file and callback, and leaves nothing`, async () => {
		const workspace = makeWorkspace();
		const { url, bodies } = await listenForCallback(204);
		const { args, when } = await phases[phase]();
		const words = ['build', ...args, '--callback-url', url];
		await expectReported(await s2oci(workspace, words, injected(when, kind)), workspace, bodies);
		await build(workspace, [TINY_APP, builder(), '--copy']);
	});
});

test('what is thrown when all is done ends as 70 too', async () => {
	const { status, stderr } = await s2oci(makeWorkspace(), ['build', TINY_APP, builder(), '--copy'], {
		...injected('built ', 'throw', 0),
	});
	expect(status, stderr).toBe(70);
	expect(stderr.match(/^error: /gm)).toHaveLength(1);
});

const during = (call: string, what: string): string =>
	`process.on('message', (message) => message.call === '${call}' && setTimeout(() => { ${what} }, 50));`;

describe.each<[UserName, keyof typeof phases, string, string]>([
	['root', 'pull', 'unpack', "throw new Error('canary')"],
	['root', 'assemble', 'execute', "throw new Error('canary')"],
	['root', 'assemble', 'execute', "void Promise.reject(new Error('canary'))"],
	['root', 'push', 'unmount', "throw new Error('canary')"],
	['s2oci-subuid', 'assemble', 'execute', "throw new Error('canary')"],
	['s2oci-plain', 'assemble', 'execute', "throw new Error('canary')"],
])('in the worker of %s during %s', (user, phase, call, code) => {
	test(`what is thrown (${code}) ends as 70, with result file and callback, and leaves nothing`, async (context) => {
		const workspace = makeWorkspace(requireUser(context, user));
		const { url, bodies } = await listenForCallback(204);
		const { args } = await phases[phase]();
		const program = withWorkerCode(workspace, during(call, code));
		const finished = await s2oci(workspace, ['build', ...args, '--callback-url', url], { program });
		expect(finished.stderr).toContain('Error: canary');
		await expectReported(finished, workspace, bodies);
	});
});

test('what is thrown in a thread of the worker ends as 70', async () => {
	const workspace = makeWorkspace();
	const { url, bodies } = await listenForCallback(204);
	const program = withWorkerCode(workspace, '');
	const thread = join(dirname(dirname(program)), 'dist/worker/unpack-thread.js');
	appendFileSync(thread, "parentPort?.prependListener('message', () => { throw new Error('canary'); });");
	const registry = await tinyRegistry({ slow: 100 });
	const args = ['build', TINY_APP, `${registry.host}/builders/tiny`, '--copy', '--callback-url', url];
	await expectReported(await s2oci(workspace, args, { program }), workspace, bodies);
});
