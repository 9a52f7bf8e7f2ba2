import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { build, type Finished, s2oci } from '../support/build.js';
import { type BuiltImage, pulled } from '../support/built.js';
import { FAKE_SCRIPTS, type FixtureName, publishFixture, serveFakeScripts } from '../support/fixtures.js';
import { leftovers, makeWorkspace, requireUser, type UserName, type Workspace } from '../support/host.js';
import type { TestRegistry } from '../support/registry.js';
import { emptyRegistry, makeSource, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

/** What one of S2I's tests has: a registry with its builder image, and a directory to build in. */
interface Case {
	readonly workspace: Workspace;
	readonly registry: TestRegistry;
	readonly builder: string;
	readonly tag: string;
	readonly source: string;
}

/** The source of S2I's tests is a hello world in Ruby; only its Gemfile is looked for. */
async function caseOf(fixture: FixtureName): Promise<Case> {
	const registry = await emptyRegistry();
	const builder = publishFixture(registry, fixture, await serveFakeScripts());
	const source = makeSource({ Gemfile: "source 'https://rubygems.org'\n", 'bin/run': '#!/bin/sh\n' });
	return { workspace: makeWorkspace(), registry, builder, tag: `${registry.host}/test/app`, source };
}

function buildCase({ workspace, builder, tag, source }: Case, ...options: readonly string[]) {
	return build(workspace, [source, builder, tag, '--copy', ...options]);
}

/** What is below /sti-fake in the layer. */
function markers({ entries }: BuiltImage): readonly string[] {
	const prefix = 'sti-fake/';
	return [...entries.keys()].flatMap((name) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : []));
}

const filesOf = async ({ registry }: Case): Promise<readonly string[]> => markers(await pulled(registry, 'test/app'));

describe('a clean build', () => {
	test.each<[string, FixtureName, readonly string[], string]>([
		['a label with an http URL', 'sti-fake', [], '/tmp/scripts/run'],
		['a variable with the URL', 'sti-fake-env', [], '/tmp/scripts/run'],
		['a named user', 'sti-fake-user', [], '/tmp/scripts/run'],
		['a numeric user', 'sti-fake-numericuser', [], '/tmp/scripts/run'],
		['scripts of a directory', 'sti-fake', ['--scripts-url', `file://${FAKE_SCRIPTS}`], '/tmp/scripts/run'],
		['scripts in the image', 'sti-fake-scripts', [], '/tmp/scripts/run'],
		['no tar in the image', 'sti-fake-no-tar', ['--scripts-url', `file://${FAKE_SCRIPTS}`], '/tmp/scripts/run'],
	])('with %s makes an image that runs', async (_what, fixture, options, command) => {
		const given = await caseOf(fixture);
		const { result } = await buildCase(given, ...options);
		expect(result.digest).toMatch(/^sha256:/);
		const image = await pulled(given.registry, 'test/app');
		expect(markers(image)).toEqual(expect.arrayContaining(['assemble-invoked', 'src/Gemfile']));
		expect(image.config.config.Cmd).toEqual([command]);
		expect(image.config.config.Labels).toMatchObject({ testLabel: 'testLabel_value' });
		const ran = await s2oci(given.workspace, ['run', given.tag]);
		expect([ran.status, ran.stdout.split('\n')]).toEqual([
			0,
			expect.arrayContaining(['assemble-invoked', 'run-invoked']),
		]);
		expect(await leftovers(given.workspace)).toEqual([]);
	});

	test('with scripts from an http URL of the command line makes an image', async () => {
		const given = await caseOf('sti-fake-no-tar');
		await buildCase(given, '--scripts-url', await serveFakeScripts());
		expect(await filesOf(given)).toEqual(expect.arrayContaining(['assemble-invoked', 'src/Gemfile']));
	});

	test.each<[FixtureName, readonly string[]]>([
		['sti-fake', []],
		['sti-fake-no-tar', ['--scripts-url', `file://${FAKE_SCRIPTS}`]],
		['sti-fake-onbuild', []],
	])('without a name gives the digest of an image with %s, and no image anywhere', async (fixture, options) => {
		const { workspace, registry, builder } = await caseOf(fixture);
		const source = makeSource({ Gemfile: '', run: '', '.s2i/bin/run': '#!/bin/sh\n' });
		const { result, stdout } = await build(workspace, [source, builder, '--copy', ...options]);
		expect(stdout).toContain(String(result.digest));
		expect(registry.requests.filter(({ method }) => ['POST', 'PUT', 'PATCH'].includes(method))).toEqual([]);
	});

	test('tells the callback of its success and of the labels', async () => {
		const bodies: unknown[] = [];
		const server = createServer((request, response) => {
			const { method, headers } = request;
			void text(request).then((body) => {
				bodies.push({ method, type: headers['content-type'], ...(JSON.parse(body) as object) });
				response.end();
			});
		});
		await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
		onTestFinished(() => void server.close());
		const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
		await buildCase(await caseOf('sti-fake'), '--callback-url', url);
		const labels = expect.objectContaining({ testLabel: 'testLabel_value' }) as object;
		expect(bodies).toEqual([{ method: 'POST', type: 'application/json', success: true, labels }]);
	});
});

describe('--allowed-uids 1-', () => {
	test.each<[FixtureName, boolean]>([
		['sti-fake-user', false],
		['sti-fake-numericuser', true],
		['sti-fake-onbuild-rootuser', false],
		['sti-fake-onbuild-numericuser', true],
		['sti-fake-assemble-root', false],
		['sti-fake-assemble-user', true],
	])('decides on %s', async (fixture, allowed) => {
		const { workspace, registry, builder, tag } = await caseOf(fixture);
		const source = makeSource({ Gemfile: '', '.s2i/bin/run': '#!/bin/sh\n' });
		const finished: Finished = await s2oci(workspace, ['build', source, builder, tag, '-c', '--allowed-uids', '1-']);
		expect(finished.result?.error?.code).toBe(allowed ? undefined : 'IMAGE_USER_NOT_ALLOWED');
		expect(finished.status).toBe(allowed ? 0 : 3);
		expect(registry.manifests.has('test/app:latest')).toBe(allowed);
	});
});

describe('an incremental build', () => {
	const isKept = ({ registry }: Case, digest: string | undefined) =>
		registry.manifests.has(`test/app@${String(digest)}`);

	test.each([false, true])('sees what was saved, with padding behind it; --rm %j', async (remove) => {
		const given = await caseOf('sti-fake');
		const first = await buildCase(given);
		await buildCase(given, '--incremental', ...(remove ? ['--rm'] : []));
		expect(await filesOf(given)).toContain('save-artifacts-invoked');
		expect(isKept(given, first.result.digest)).toBe(!remove);
	});

	test('of an image with scripts in it sees what was saved', async () => {
		const given = await caseOf('sti-fake-scripts');
		await buildCase(given);
		await buildCase(given, '--incremental');
		expect(await filesOf(given)).toContain('save-artifacts-invoked');
	});

	test.each<[FixtureName, string]>([
		['sti-fake-scripts-no-save-artifacts', 'src/Gemfile'],
		['sti-fake-onbuild', 'src/onbuild'],
	])('of %s is a clean one', async (fixture, marker) => {
		const given = { ...(await caseOf(fixture)), source: makeSource({ Gemfile: '', '.s2i/bin/run': '#!/bin/sh\n' }) };
		await buildCase(given);
		await buildCase(given, '--incremental');
		const files = await filesOf(given);
		expect(files).toContain(marker);
		expect(files).not.toContain('save-artifacts-invoked');
	});
});

describe('an image that has its scripts where those of the source go', () => {
	const layers = new Set<unknown>();

	test.for<[UserName, string]>([
		['root', 'overlay'],
		['root', 'copy'],
		['s2oci-subuid', 'overlay'],
		['s2oci-plain', 'overlay'],
		['s2oci-plain', 'copy'],
	])('keeps the others, built by %s with --rootfs %s', async ([name, rootfs], context) => {
		const source = makeSource({ Gemfile: '', '.s2i/bin/run': '#!/bin/sh\necho mine\n' });
		const given = { ...(await caseOf('sti-fake-scripts')), source };
		const workspace = makeWorkspace(requireUser(context, name));
		const { result } = await buildCase({ ...given, workspace }, '--rootfs', rootfs);
		const { entries, config } = await pulled(given.registry, 'test/app');
		expect([...entries.keys()].filter((path) => /^tmp\/(scripts|src)/.test(path))).toEqual([
			'tmp/scripts',
			'tmp/scripts/run',
		]);
		expect(entries.get('tmp/scripts/run')?.content).toBe('#!/bin/sh\necho mine\n');
		expect(config.config.Cmd).toEqual(['/tmp/scripts/run']);
		layers.add(result.layer?.diffId);
		expect(layers.size).toBe(1);
	});
});

describe('an injection', () => {
	function secretDirectory({ home }: Workspace): string {
		const directory = join(home, 'injected');
		mkdirSync(directory);
		writeFileSync(join(directory, 'secret'), 'secret\n');
		return directory;
	}

	test.each([
		['DIR:/tmp', 'secret-delivered'],
		['DIR:', 'relative-secret-delivered'],
		['DIR', 'relative-secret-delivered'],
		['DIR:test;DIR:test2', 'both-secrets-delivered'],
	])('%s is seen by assemble, and nothing of it is in the image', async (option, marker) => {
		const given = await caseOf('sti-fake');
		const directory = secretDirectory(given.workspace);
		await buildCase(given, '--inject', option.replaceAll('DIR', directory));
		const { entries } = await pulled(given.registry, 'test/app');
		expect(entries.has(`sti-fake/${marker}`)).toBe(true);
		expect([...entries.keys()].filter((name) => /secret$|(^|\/)test2?(\/|$)|injection/.test(name))).toEqual([]);
	});

	test('into a directory that does not exist ends the build before assemble', async () => {
		const { workspace, builder, tag, source, registry } = await caseOf('sti-fake');
		const options = ['-c', '--inject', `${secretDirectory(workspace)}:/bad/dir`];
		const { status, stderr, stdout } = await s2oci(workspace, ['build', source, builder, tag, ...options]);
		expect({ status, stdout, pushed: registry.manifests.has('test/app:latest') }).toEqual({
			status: 2,
			stdout: '',
			pushed: false,
		});
		expect(stderr).toContain('/bad is no directory');
	});
});
