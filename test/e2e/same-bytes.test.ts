import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agreement } from '../support/agreement.js';
import { build } from '../support/build.js';
import { leftovers, makeWorkspace, requirePrograms, requireUser, type UserName } from '../support/host.js';
import { startRegistry, type TestRegistry } from '../support/registry.js';
import { publish, readLayout, TINY_APP, tinyLayout, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const users: readonly UserName[] = ['root', 's2oci-subuid', 's2oci-plain'];
const sandboxes = ['runc', 'crun', 'bwrap'] as const;
const NAMESPACES = { root: 'none', 's2oci-subuid': 'full', 's2oci-plain': 'single' } as const;
const env = { SOURCE_DATE_EPOCH: '1750000000' };

describe('the same source', () => {
	const images = agreement('the image');
	// The names of builder and target are in the labels, so they must be the same too.
	let registry: TestRegistry;
	beforeAll(async () => {
		registry = await startRegistry();
		publish(registry, readLayout(tinyLayout()));
	});
	afterAll(() => registry.close());

	for (const name of users) {
		for (const sandbox of sandboxes) {
			test(`built by ${name} with ${sandbox} gives the same image`, async (context) => {
				requirePrograms(context, sandbox);
				const workspace = makeWorkspace(requireUser(context, name));
				const args = [TINY_APP, `${registry.host}/builders/tiny`, `${registry.host}/team/app:1`, '--copy'];
				const { result } = await build(workspace, [...args, '--isolation', sandbox], { env });
				expect(result.rung).toMatchObject({ sandbox, userNamespace: NAMESPACES[name] });
				images.add(`${String(result.layer?.diffId)} ${String(result.layer?.digest)} ${String(result.digest)}`);
				expect(await leftovers(workspace)).toEqual([]);
			});
		}
	}
	images.isTested();
});

describe('a second build', () => {
	test('downloads nothing, asks for one manifest, and gives the same digest', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		const args = [TINY_APP, `${registry.host}/builders/tiny`, `${registry.host}/team/app`, '--copy'];
		const cold = await build(workspace, args, { env });
		const layers = [...readLayout(tinyLayout()).blobs.values()].map((bytes) => bytes.length);
		expect(cold.result.bytes.downloaded).toBeGreaterThan(Math.max(...layers));
		const before = registry.requests.length;
		const warm = await build(workspace, args, { env });
		const seen = registry.requests.slice(before).map(({ method, path }) => ({ method, path }));
		expect(seen.filter(({ path }) => path.includes('/builders/tiny/manifests/'))).toHaveLength(1);
		const blobs = seen.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'));
		expect(blobs.map(({ path }) => path)).toEqual([]);
		expect(seen.filter(({ method }) => method === 'PATCH')).toEqual([]);
		expect(warm.result.bytes).toMatchObject({ downloaded: 0 });
		expect(warm.stdout).toBe(cold.stdout);
	});

	test('in another store, at another time, gives the same digest', async () => {
		const registry = await tinyRegistry();
		const args = [TINY_APP, `${registry.host}/builders/tiny`, `${registry.host}/team/app`, '--copy'];
		const first = await build(makeWorkspace(), args);
		const second = await build(makeWorkspace(), args);
		expect(second.stdout).toBe(first.stdout);
	});

	test('at the same time shares the store', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		const run = (tag: string) =>
			build(workspace, [TINY_APP, `${registry.host}/builders/tiny`, '--copy', '-o', `oci:${workspace.root}/${tag}`]);
		const results = await Promise.all(['a', 'b', 'c'].map(run));
		expect(new Set(results.map(({ result }) => result.layer?.diffId)).size).toBe(1);
		expect(await leftovers(workspace)).toEqual([]);
	});
});
