import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { build, type Finished, s2oci, startS2oci } from '../support/build.js';
import { commandOf, leftovers, makeWorkspace, processesOf, until, type Workspace } from '../support/host.js';
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

const builder = (): string => `oci:${tinyLayout()}:latest`;

/** That a build failed as it should: status, code, two plain parts on stderr, nothing left, and the next build works. */
async function expectFailure(workspace: Workspace, failed: Finished, status: number, code: string): Promise<void> {
	expect(failed.stderr).toMatch(/^error: [^]*\nhint: .+\n$/m);
	expect(failed.stderr).not.toMatch(/^\s+at .*[:(]\d+|BuildError|TypeError/m);
	expect({ status: failed.status, code: failed.result?.error?.code }).toEqual({ status, code });
	expect(failed.stdout).toBe('');
	expect(await leftovers(workspace)).toEqual([]);
	await build(workspace, [TINY_APP, builder(), '--copy']);
}

describe('assemble', () => {
	test('that fails makes the status 1; the error has the script, its status and its last lines once', async () => {
		const workspace = makeWorkspace();
		const source = assembleSource('for i in $(seq 40); do echo "line-$i."; done; echo "the reason" >&2; exit 7');
		const failed = await s2oci(workspace, ['build', source, builder()]);
		const error = failed.stderr.slice(failed.stderr.indexOf('error: '));
		expect(error).toMatch(/^error: assemble \(\/tmp\/scripts\/assemble\) ended with status 7\. /);
		expect(failed.stderr.match(/the reason/g)?.length).toBeLessThanOrEqual(2);
		expect(failed.result?.error?.message).toContain('the reason');
		expect(failed.result?.error?.message).not.toContain('line-1.');
		expect(failed.result?.assemble).toEqual({ exitCode: 7 });
		await expectFailure(workspace, failed, 1, 'ASSEMBLE_FAILED');
	});

	test('that is killed is told from one that ends', async () => {
		const workspace = makeWorkspace();
		const mark = `sleeper-${randomUUID()}`;
		const running = startS2oci(workspace, ['build', assembleSource(`exec sh -c 'sleep 300; :' ${mark}`), builder()]);
		await until('assemble to sleep', () => sleepers(mark).length > 0);
		for (const pid of sleepers(mark)) process.kill(pid, 'SIGKILL');
		const failed = await running.finished;
		expect(failed.result?.error?.message).toMatch(/ended by signal SIGKILL/);
		expect(failed.result?.error?.hint).toMatch(/memory/);
		await expectFailure(workspace, failed, 1, 'ASSEMBLE_FAILED');
	});

	test('that cannot be executed is no bug of ours', async () => {
		const workspace = makeWorkspace();
		const source = makeSource({ '.s2i/bin/assemble': '#!/no/such/interpreter\n', file: '' });
		const failed = await s2oci(workspace, ['build', source, builder()]);
		expect(failed.stderr).toContain('/no/such/interpreter');
		await expectFailure(workspace, failed, 1, 'SCRIPT_INVALID');
	});

	test('that leaves a process behind does not keep the build waiting, nor the process alive', async () => {
		const workspace = makeWorkspace();
		const begin = Date.now();
		await build(workspace, [assembleSource('sleep 300 & echo started'), builder()]);
		expect(Date.now() - begin).toBeLessThan(10_000);
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('that writes broken image_metadata.json fails the build with what is wrong', async () => {
		const workspace = makeWorkspace();
		const source = assembleSource('mkdir -p /tmp/.s2i && echo nonsense > /tmp/.s2i/image_metadata.json');
		const failed = await s2oci(workspace, ['build', source, builder()]);
		expect(failed.stderr).toContain('image_metadata.json');
		await expectFailure(workspace, failed, 3, 'IMAGE_INVALID');
	});
});

describe('a registry', () => {
	test('that does not have the builder image', async () => {
		const [workspace, registry] = [makeWorkspace(), await emptyRegistry()];
		const failed = await s2oci(workspace, ['build', TINY_APP, `${registry.host}/no/such:image`]);
		expect(failed.stderr).toContain(`${registry.host}/no/such`);
		await expectFailure(workspace, failed, 3, 'REGISTRY_NOT_FOUND');
	});

	test.each(['127.0.0.1:9', 'registry.invalid'])('that cannot be reached: %s', async (host) => {
		const workspace = makeWorkspace();
		const failed = await s2oci(workspace, ['build', TINY_APP, `${host}/builders/tiny`]);
		expect(failed.stderr).toContain(host);
		await expectFailure(workspace, failed, 3, 'REGISTRY_UNREACHABLE');
	});

	test('that does not let us push', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		const other = await emptyRegistry({ failures: { count: 1000, status: 403, path: /uploads/ } });
		const args = ['build', TINY_APP, `${registry.host}/builders/tiny`, `${other.host}/team/app`];
		const failed = await s2oci(workspace, args);
		expect(failed.stderr).toContain(`${other.host}/team/app`);
		await expectFailure(workspace, failed, 3, 'REGISTRY_DENIED');
		expect(other.manifests.size).toBe(0);
	});

	test('that does not let us push base layers ends the build while assemble runs', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		const other = await emptyRegistry({ failures: { count: 1000, status: 403, path: /uploads/ } });
		const args = ['build', assembleSource('sleep 100'), `${registry.host}/builders/tiny`, `${other.host}/team/app`];
		const begin = Date.now();
		const failed = await s2oci(workspace, args);
		expect(Date.now() - begin).toBeLessThan(20_000);
		await expectFailure(workspace, failed, 3, 'REGISTRY_DENIED');
	});

	test('that is slow does not keep a build waiting whose source is missing', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry({ slow: 30_000 })];
		const begin = Date.now();
		const failed = await s2oci(workspace, ['build', '/nonexistent', `${registry.host}/builders/tiny`]);
		expect(Date.now() - begin).toBeLessThan(10_000);
		await expectFailure(workspace, failed, 5, 'SOURCE_NOT_FOUND');
	});

	test('that cuts connections is asked for the rest', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry({ cut: { count: 2, after: 1000 } })];
		const { stderr } = await build(workspace, [TINY_APP, `${registry.host}/builders/tiny`, '--copy']);
		expect(stderr).toMatch(/retry 1 of/);
	});
});

describe('an image', () => {
	test('in a layout that does not exist', async () => {
		const workspace = makeWorkspace();
		const failed = await s2oci(workspace, ['build', TINY_APP, 'oci:/nonexistent/layout']);
		expect(failed.stderr).toContain('/nonexistent/layout');
		expect(failed.status).toBe(3);
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('that cannot be written where it was to go', async () => {
		const workspace = makeWorkspace();
		const failed = await s2oci(workspace, [
			'build',
			TINY_APP,
			builder(),
			'--copy',
			'-o',
			'oci-archive:/proc/no/image.tar',
		]);
		expect(failed.stderr).toContain('/proc/no');
		await expectFailure(workspace, failed, 3, 'OUTPUT_FAILED');
	});
});

/** The processes that run as assemble, not those that only have it in their configuration. */
function sleepers(mark: string): readonly number[] {
	return processesOf(mark).filter((pid) => commandOf(pid).startsWith('sh -c'));
}
