import { describe, expect, test } from 'vitest';
import { type Finished, type RunOptions, s2oci } from '../support/build.js';
import { pulled } from '../support/built.js';
import { leftovers, makeWorkspace, type Workspace } from '../support/host.js';
import type { TestRegistry } from '../support/registry.js';
import { arrange, describeRung, EACH_RUNG } from '../support/rung.js';
import { assembleSource, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

interface Scene {
	readonly registry: TestRegistry;
	readonly workspace: Workspace;
	/** Builds to `team/app:latest` with these options. */
	readonly run: (args: readonly string[], options?: RunOptions) => Promise<Finished>;
}

async function setUp(script = 'cp -R /tmp/src/*.txt .', workspace = makeWorkspace()): Promise<Scene> {
	const registry = await tinyRegistry();
	const words = ['build', assembleSource(script), `${registry.host}/builders/tiny`, `${registry.host}/team/app`];
	return { registry, workspace, run: (args, options) => s2oci(workspace, [...words, ...args], options) };
}

const tagged = (registry: TestRegistry) => registry.manifests.has('team/app:latest');

/** What a command sees of the built image, and then spoils. */
const LOOK = [
	'id -u; pwd; cat greeting.txt; echo "of the image: $TINY_X, of the build: $SHORT"',
	'ls /tmp/src /run/secrets /tmp/artifacts 2>/dev/null; echo "token: $TOKEN"',
	'rm -f greeting.txt; touch spoiled && echo wrote',
].join('\n');

describe('a command before the push', () => {
	for (const rung of EACH_RUNG) {
		test(`runs in the built image and changes nothing of it, on ${describeRung(rung)}`, async (context) => {
			const { workspace, args, options } = arrange(rung, context);
			const { registry, run } = await setUp(undefined, workspace);
			const asked = [...args, '-e', 'TINY_X=x', '--build-env', 'SHORT=lived', '--secret', 'id=token,env=TOKEN'];
			const env = { TOKEN: 'of-the-job' };
			const plain = await run(asked, { ...options, env });
			const tested = await run([...asked, '--before-push', LOOK], { ...options, env });
			expect(plain.status, plain.stderr).toBe(0);
			expect(tested.status, tested.stderr).toBe(0);
			const seen = /before-push begins\n([\s\S]*)before-push took/.exec(tested.stderr)?.[1];
			const expected = ['1001', '/opt/app-root/src', 'hello', 'of the image: x, of the build: ', 'token: ', 'wrote'];
			expect(seen?.split('\n')).toEqual(expect.arrayContaining(expected));
			expect(tested.result).toMatchObject({ digest: plain.result?.digest, beforePush: { exitCode: 0 } });
			const { entries } = await pulled(registry, 'team/app');
			expect(entries.has('opt/app-root/src/greeting.txt')).toBe(true);
			expect(entries.has('opt/app-root/src/spoiled')).toBe(false);
			expect(await leftovers(workspace)).toEqual([]);
		});
	}

	test('that fails keeps the image from being pushed, and says what it printed', async () => {
		const { registry, workspace, run } = await setUp();
		const { status, stdout, stderr, result } = await run(['--before-push', 'echo begun; echo broken >&2; exit 3']);
		expect(status).toBe(7);
		expect(stdout).toBe('');
		expect(stderr).toMatch(/error: the command before the push ended with status 3\. Its last lines:\n[\s\S]*broken/);
		expect(result).toMatchObject({
			success: false,
			error: { code: 'BEFORE_PUSH_FAILED' },
			beforePush: { exitCode: 3 },
		});
		expect(result?.digest).toBeUndefined();
		expect([...registry.manifests.keys()].filter((key) => key.startsWith('team/app'))).toEqual([]);
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('is ended by --timeout', async () => {
		const { registry, workspace, run } = await setUp();
		const { status, stderr } = await run(['--timeout', '3s', '--before-push', 'echo waiting; sleep 1000']);
		expect(status).toBe(7);
		expect(stderr).toMatch(/took longer than 3000 ms[\s\S]*waiting/);
		expect(tagged(registry)).toBe(false);
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('has the network that assemble has', async () => {
		const { run } = await setUp();
		const command = 'test "$(grep -c : /proc/net/dev)" = 1';
		expect((await run(['--network', 'none', '--before-push', command])).status).toBe(0);
	});

	test('has no part in the artifacts that are cached', async () => {
		const { registry, run } = await setUp('cat /tmp/artifacts/kept || echo kept > kept');
		const cache = `${registry.host}/team/cache`;
		const asked = ['--cache-to', cache, '--cache-from', cache, '--before-push', 'echo spoiled > kept; cat kept'];
		expect((await run(asked)).stderr).toContain('\nspoiled\n');
		const { stderr } = await run([...asked.slice(0, 4), '--before-push', 'true']);
		expect(stderr).toMatch(/assemble begins\nkept\n/);
	});

	test('is not run again for an image that passed it, and is for one that passed another', async () => {
		const { run } = await setUp();
		const test = (command?: string, reuse: readonly string[] = []) =>
			run([...(command === undefined ? [] : ['--before-push', command]), ...reuse], { mayReuse: true });
		await test();
		const first = await test('echo tested');
		expect(first.result?.reused).toBeUndefined();
		expect(first.stderr).toMatch(/tested$/m);
		expect((await test('echo tested')).result?.reused).toBe(true);
		expect((await test('echo other', ['--reuse', 'auto'])).stderr).toMatch(/other$/m);
	});

	test('is refused when it is empty', async () => {
		const { run } = await setUp();
		const { status, stderr } = await run(['--before-push', ' ']);
		expect([status, stderr]).toEqual([2, expect.stringContaining('nothing is said to run before the push')]);
	});
});
