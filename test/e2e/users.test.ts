import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { ContainerConfig } from '../../src/oci/image.js';
import { layerMediaType } from '../../src/oci/media-types.js';
import { build, type Finished, s2oci } from '../support/build.js';
import { type BuiltImage, pulled } from '../support/built.js';
import { makeWorkspace } from '../support/host.js';
import type { TestRegistry } from '../support/registry.js';
import { assembleSource, emptyRegistry, encodeImage, publish, tinyParts, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const HOME = 'opt/app-root/src';
const WHO = 'echo "$(id -u):$(id -g) $HOME" > who';

/** A registry whose builder has these settings instead of the tiny builder's. */
async function registryWith(changes: ContainerConfig): Promise<TestRegistry> {
	const registry = await emptyRegistry();
	const { tars, config } = tinyParts();
	const { Labels: labels, ...rest } = changes;
	const base = config.config ?? {};
	const merged = { ...base, ...rest, Labels: { ...base.Labels, ...labels } };
	const gzip = (tar: Uint8Array) => ({ mediaType: layerMediaType('oci', 'gzip'), bytes: gzipSync(tar) });
	publish(registry, encodeImage({ tars, config: { ...config, config: merged } }, gzip));
	return registry;
}

function words({ host }: TestRegistry, args: readonly string[], script = WHO): readonly string[] {
	return [assembleSource(script), `${host}/builders/tiny`, `${host}/team/app`, ...args];
}

async function built(changes: ContainerConfig, args: readonly string[]): Promise<BuiltImage> {
	const registry = await registryWith(changes);
	await build(makeWorkspace(), words(registry, args));
	return pulled(registry, 'team/app');
}

function who({ entries }: BuiltImage): string | undefined {
	return entries.get(`${HOME}/who`)?.content.trim();
}

describe('assemble runs as', () => {
	test.each<[ContainerConfig, readonly string[], string]>([
		[{ User: '1001' }, [], '1001:0'],
		[{ User: 'default' }, [], '1001:0'],
		[{ User: '1001', Labels: { 'io.openshift.s2i.assemble-user': '0' } }, [], '0:0'],
		[{ User: '1001', Labels: { 'io.openshift.s2i.assemble-user': '0' } }, ['--assemble-user', '1001:0'], '1001:0'],
		[{ User: '' }, [], '0:0'],
	])('with %j and %j the user %s, while USER stays', async (config, args, user) => {
		const image = await built(config, args);
		expect(who(image)?.split(' ')[0]).toBe(user);
		expect(image.config.config.User ?? '').toBe(config.User);
	});

	test('a name that the image does not have is an error', async () => {
		const registry = await registryWith({});
		const failed = await s2oci(makeWorkspace(), ['build', ...words(registry, ['--assemble-user', 'nobody-there'])]);
		expect(failed.status).toBe(3);
		expect(failed.stderr).toContain('nobody-there');
	});
});

describe('--allowed-uids', () => {
	async function refused(changes: ContainerConfig, args: readonly string[]): Promise<Finished> {
		const registry = await registryWith(changes);
		return s2oci(makeWorkspace(), [
			'build',
			...words(registry, ['--allowed-uids', '1-', ...args], 'echo assemble ran'),
		]);
	}

	test.each<[string, ContainerConfig, readonly string[], string]>([
		['a named user', { User: 'default' }, [], 'USER of the builder image "default"'],
		['no user', { User: '' }, [], 'USER of the builder image ""'],
		['ONBUILD', { OnBuild: ['USER 0'] }, ['--assemble-user', '1001'], 'ONBUILD USER of the builder image "0"'],
		['the label', { Labels: { 'io.openshift.s2i.assemble-user': '0' } }, [], 'label io.openshift.s2i.assemble-user'],
		['--assemble-user', {}, ['--assemble-user', '0'], '--assemble-user "0"'],
		['the USER behind an allowed --assemble-user', { User: '0' }, ['--assemble-user', '1001'], 'USER of the builder'],
	])('refuses %s before anything runs', async (_what, changes, args, message) => {
		const { status, stderr, result } = await refused(changes, args);
		expect(status).toBe(3);
		expect(result?.error?.code).toBe('IMAGE_USER_NOT_ALLOWED');
		expect(stderr).toContain(message);
		expect(stderr).not.toContain('assemble ran');
	});

	test('allows what is in the range', async () => {
		expect(who(await built({ User: '1001' }, ['-u', '1001']))).toMatch(/^1001:0/);
	});
});
