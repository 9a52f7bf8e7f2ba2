import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { BuildError, isBuildError } from '../../../src/errors.js';
import { digestOf } from '../../../src/oci/digest.js';
import type { Image, Index } from '../../../src/oci/image.js';
import { parseManifest } from '../../../src/oci/manifest.js';
import { OCI_INDEX } from '../../../src/oci/media-types.js';
import type { BuildEvent } from '../../../src/pipeline/events.js';
import { resolveWithPolicy } from '../../../src/pipeline/images/image-record.js';
import type { OpenedSource } from '../../../src/pipeline/images/open-image.js';
import type { PullPolicy } from '../../../src/pipeline/request.js';
import { temporaryDirectory } from '../../support/fs.js';
import { contentOf, jsonBytes, testImage } from '../../support/images.js';

const platform = { os: 'linux', architecture: 'amd64' };
const signal = new AbortController().signal;
const made = testImage();
const index = parseManifest(
	jsonBytes({
		schemaVersion: 2,
		mediaType: OCI_INDEX,
		manifests: [{ ...made.image.manifest.descriptor, platform }],
	}),
	{},
	'the index',
);

/** A registry that has one image, and what was asked of it. */
function setUp(what: 'image' | 'index' = 'image') {
	const store = temporaryDirectory();
	onTestFinished(() => store[Symbol.dispose]());
	const asked: string[] = [];
	const events: BuildEvent[] = [];
	const state = { failure: undefined as BuildError | undefined, present: true };
	const named = what === 'index' ? index : made.image.manifest;
	const opened = (reference: string): OpenedSource => ({
		name: `registry.example/app:${reference}`,
		reference,
		repository: { registry: 'registry.example', path: 'app' },
		source: {
			manifest: (wanted) => {
				asked.push(wanted);
				if (state.failure !== undefined) return Promise.reject(state.failure);
				return Promise.resolve(wanted === made.image.manifest.descriptor.digest ? made.image.manifest : named);
			},
			open: (blob) => Promise.resolve(contentOf(made.blobs, blob)),
		},
	});
	const resolve = (policy: PullPolicy, reference = 'latest'): Promise<Image> => {
		const context = { store: store.path, platform, present: () => Promise.resolve(state.present) };
		return resolveWithPolicy(opened(reference), policy, context, (event) => events.push(event), signal);
	};
	return {
		store: store.path,
		asked,
		events,
		state,
		resolve,
		named: named as { descriptor: Index['manifests'][number] },
	};
}

const digestIn = async (image: Promise<Image>) => (await image).manifest.descriptor.digest;
const codeOf = (image: Promise<Image>) =>
	image.then(
		() => 'resolved',
		(error: unknown) => (isBuildError(error) ? error.code : String(error)),
	);
const expected = made.image.manifest.descriptor.digest;
const unreachable = new BuildError('REGISTRY_UNREACHABLE', 'the registry is gone');

describe.each(['image', 'index'] as const)('a tag that names an %s', (what) => {
	test('is asked for each time by check and always', async () => {
		const { resolve, asked, named } = setUp(what);
		for (const policy of ['check', 'always', 'check'] as const) expect(await digestIn(resolve(policy))).toBe(expected);
		expect(asked.filter((reference) => reference === 'latest')).toHaveLength(3);
		expect(named.descriptor.size).toBeGreaterThan(0);
	});

	test('is taken from the store by if-not-present and never, once it was pulled', async () => {
		const { resolve, asked, events } = setUp(what);
		await resolve('if-not-present');
		const before = asked.length;
		expect([await digestIn(resolve('if-not-present')), await digestIn(resolve('never'))]).toEqual([expected, expected]);
		expect([asked.length, events]).toEqual([before, []]);
	});

	test('is taken from the store by check, with a warning, when the registry cannot be reached', async () => {
		const { resolve, state, events } = setUp(what);
		await resolve('check');
		state.failure = unreachable;
		expect(await digestIn(resolve('check'))).toBe(expected);
		expect(events).toEqual([
			expect.objectContaining({ type: 'warning', message: expect.stringContaining(expected) as unknown }),
		]);
		expect(await codeOf(resolve('always'))).toBe('REGISTRY_UNREACHABLE');
	});
});

describe('what is recorded', () => {
	test('is of no use when layers are missing', async () => {
		const { resolve, state, asked } = setUp();
		await resolve('check');
		state.present = false;
		expect(await codeOf(resolve('never'))).toBe('REGISTRY_NOT_FOUND');
		const before = asked.length;
		await resolve('if-not-present');
		expect(asked).toHaveLength(before + 1);
		state.failure = unreachable;
		expect(await codeOf(resolve('check'))).toBe('REGISTRY_UNREACHABLE');
	});

	test('is not used when the registry answers, whatever it says', async () => {
		const { resolve, state } = setUp();
		await resolve('check');
		state.failure = new BuildError('REGISTRY_UNAUTHORIZED', 'who are you?');
		expect(await codeOf(resolve('check'))).toBe('REGISTRY_UNAUTHORIZED');
	});

	test('of a digest is used without asking, except by always', async () => {
		const { resolve, asked } = setUp('index');
		const pinned = index.descriptor.digest;
		for (const policy of ['check', 'check', 'if-not-present', 'never'] as const) await resolve(policy, pinned);
		expect(asked.filter((reference) => reference === pinned)).toHaveLength(1);
		await resolve('always', pinned);
		expect(asked.filter((reference) => reference === pinned)).toHaveLength(2);
	});

	test('is nothing at first', async () => {
		expect(await codeOf(setUp().resolve('never'))).toBe('REGISTRY_NOT_FOUND');
	});

	test.each<[string, (text: string) => string | Buffer]>([
		['empty', () => ''],
		['no JSON', () => '{'],
		['of another format', (text) => text.replace('"format":1', '"format":2')],
		['of another image', (text) => text.replace('registry.example/app', 'registry.example/evil')],
		['with another manifest', (text) => text.replace(/"content":"..../, '"content":"eyJh')],
		['with a config that does not match', (text) => text.replace(/("config":.*"content":")..../, '$1eyJh')],
		['with a digest that is a path', (text) => text.replaceAll(/sha256:[0-9a-f]{64}/g, '../../../etc/passwd')],
		['larger than any record', () => Buffer.alloc(40 * 2 ** 20, ' ')],
	])('is ignored when it is %s', async (_what, damage) => {
		const { resolve, store } = setUp();
		await resolve('check');
		const [name = ''] = readdirSync(join(store, 'images'));
		const path = join(store, 'images', name);
		const text = readFileSync(path, 'utf8');
		expect(damage(text)).not.toBe(text);
		writeFileSync(path, damage(text));
		expect(await codeOf(resolve('never'))).toBe('REGISTRY_NOT_FOUND');
	});

	test('is left out silently when the store cannot hold it', async () => {
		const { resolve, store } = setUp();
		writeFileSync(join(store, 'images'), 'a file');
		expect(await digestIn(resolve('check'))).toBe(expected);
	});

	test('leaves no temporary file', async () => {
		const { resolve, store } = setUp();
		mkdirSync(join(store, 'images'));
		await Promise.all([resolve('check'), resolve('check')]);
		expect(readdirSync(join(store, 'images'))).toHaveLength(1);
	});
});

describe('a name without a registry', () => {
	const denied = new BuildError('REGISTRY_DENIED', 'HTTP 401', { hint: 'Log in.' });
	const failing = (error: Error, bare?: string): OpenedSource => ({
		name: 'docker.io/library/node-builder:latest',
		reference: 'latest',
		repository: { registry: 'docker.io', path: 'library/node-builder' },
		...(bare !== undefined && { bare }),
		source: { manifest: () => Promise.reject(error), open: () => Promise.reject(error) },
	});
	const resolve = (opened: OpenedSource, policy: PullPolicy = 'check') => {
		const context = { store: '/nonexistent', platform, present: () => Promise.resolve(false) };
		return resolveWithPolicy(opened, policy, context, () => undefined, signal);
	};

	test.each([
		[denied, 'check', 'REGISTRY_DENIED', 'HTTP 401'],
		[unreachable, 'always', 'REGISTRY_UNREACHABLE', 'the registry is gone'],
		[denied, 'never', 'REGISTRY_NOT_FOUND', 'may not be pulled'],
	] as const)(
		'says where such names lead and what else can be written: %s, %s',
		async (failure, policy, code, message) => {
			const failed = resolve(failing(failure, 'node-builder'), policy);
			await expect(failed).rejects.toMatchObject({ code });
			await expect(failed).rejects.toThrow(message);
			await expect(failed).rejects.toThrow('node-builder names no registry, which means Docker Hub (docker.io)');
			for (const way of [
				'registry.example/node-builder',
				'podman:node-builder',
				'docker-daemon:node-builder',
				'oci:DIR',
			]) {
				await expect(failed).rejects.toMatchObject({ hint: expect.stringContaining(way) as string });
			}
		},
	);

	test('keeps the hint of what failed', async () => {
		await expect(resolve(failing(denied, 'node-builder'))).rejects.toMatchObject({
			hint: expect.stringMatching(/ Else: Log in\.$/) as string,
		});
	});

	test('is nothing to explain where the registry was typed, or where something else failed', async () => {
		await expect(resolve(failing(denied))).rejects.toBe(denied);
		const damaged = new BuildError('DIGEST_MISMATCH', 'damaged');
		await expect(resolve(failing(damaged, 'node-builder'))).rejects.toBe(damaged);
	});
});

test('an image that is not on a registry is read whatever the policy', async () => {
	const { image, blobs } = made;
	const opened: OpenedSource = {
		name: 'oci:dir',
		reference: '',
		source: {
			manifest: () => Promise.resolve(image.manifest),
			open: (blob) => Promise.resolve(contentOf(blobs, blob)),
		},
	};
	const context = { store: '/nonexistent', platform, present: () => Promise.reject(new Error('not asked')) };
	for (const policy of ['check', 'always', 'if-not-present', 'never'] as const) {
		const found = await resolveWithPolicy(opened, policy, context, () => undefined, signal);
		expect(found.manifest.descriptor.digest).toBe(digestOf(image.manifest.bytes));
	}
});
