import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { type Header, pack } from 'tar-stream';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.js';
import { layerMediaType } from '../../src/oci/media-types.js';
import { build, type Finished, s2oci } from '../support/build.js';
import { pulled } from '../support/built.js';
import {
	leftovers,
	listDirectory,
	makeWorkspace,
	requireUser,
	type UserName,
	type Workspace,
} from '../support/host.js';
import type { Faults, TestRegistry } from '../support/registry.js';
import {
	assembleSource,
	emptyRegistry,
	encodeImage,
	publish,
	readLayout,
	TINY_APP,
	tinyLayout,
	tinyParts,
	withTinyBuilder,
} from '../support/tiny.js';

withTinyBuilder();

type Entry = Partial<Header> & { readonly name: string; readonly content?: string };

const gzip = (tar: Uint8Array) => ({ mediaType: layerMediaType('oci', 'gzip'), bytes: gzipSync(tar) });

async function tarOf(entries: readonly Entry[]): Promise<Uint8Array> {
	const packer = pack();
	for (const { content, ...header } of entries) packer.entry(header, content ?? '');
	packer.finalize();
	return buffer(packer);
}

/** A registry with the tiny builder and, on top of it, one layer of `entries`. */
async function hostileRegistry(entries: readonly Entry[], faults: Faults = {}): Promise<TestRegistry> {
	const parts = tinyParts();
	const registry = await emptyRegistry(faults);
	publish(registry, encodeImage({ ...parts, tars: [...parts.tars, await tarOf(entries)] }, gzip));
	return registry;
}

const buildArgs = (registry: TestRegistry, source = TINY_APP): readonly string[] => [
	...['build', source, `${registry.host}/builders/tiny`, `${registry.host}/team/app`, '--copy'],
];

/** That the build was refused, and the layer `diffId` did not get into the store. */
async function expectRefused(workspace: Workspace, refused: Finished, codes: RegExp, diffId?: string): Promise<void> {
	expect(refused.stderr).toMatch(/^error: .*\nhint: .*\n$/m);
	expect(refused.status).toBe(3);
	expect(refused.result?.error?.code).toMatch(codes);
	expect(await leftovers(workspace)).toEqual([]);
	if (diffId !== undefined) expect(storedLayers(workspace).filter((name) => diffId.endsWith(name))).toEqual([]);
}

function storedLayers({ store }: Workspace): readonly string[] {
	return listDirectory(store)
		.filter((name) => name.startsWith('layers'))
		.flatMap((format) => listDirectory(join(store, format)).map((mapping) => join(store, format, mapping)))
		.flatMap(listDirectory)
		.map((name) => name.replace(/^sha256[:-]?/, ''));
}

/** Layers that try to write to the file of the host that they are told. */
const escapes: Readonly<Record<string, (file: string) => readonly Entry[]>> = {
	'a name that leaves the root': (file) => [{ name: `../../../../../../../../..${file}`, content: 'evil' }],
	'an absolute name': (file) => [{ name: file, content: 'evil' }],
	'a name below a link out of the root': (file) => [
		{ name: 'way-out', type: 'symlink', linkname: dirname(file) },
		{ name: 'way-out/file', content: 'evil' },
	],
	'a hard link to a file of the host': (file) => [
		{ name: 'stolen', type: 'link', linkname: `../../../../../../../../..${file}` },
		{ name: 'stolen', content: 'evil' },
	],
};

describe('bytes that are not what their digest says', () => {
	test('of a layer are refused', async () => {
		const [workspace, registry] = [makeWorkspace(), await emptyRegistry()];
		const image = readLayout(tinyLayout());
		publish(registry, image);
		const [victim] = [...image.blobs].sort(([, a], [, b]) => b.length - a.length);
		const [digest, bytes] = victim ?? ['', new Uint8Array()];
		const changed = Buffer.from(bytes);
		changed.writeUInt8(changed.readUInt8(changed.length >> 1) ^ 1, changed.length >> 1);
		registry.blobs.set(`builders/tiny@${digest}`, changed);
		const refused = await s2oci(workspace, buildArgs(registry));
		await expectRefused(workspace, refused, /^(DIGEST_MISMATCH|LAYER_INVALID)$/);
		expect(registry.manifests.has('team/app:latest')).toBe(false);
		registry.blobs.set(`builders/tiny@${digest}`, bytes);
		await build(workspace, buildArgs(registry).slice(1));
	});

	test('of a manifest are refused', async () => {
		const tamper = (bytes: Uint8Array) => Buffer.from(Buffer.from(bytes).toString().replace('"layers"', '"layerz"'));
		const [workspace, registry] = [makeWorkspace(), await emptyRegistry({ tamper })];
		publish(registry, readLayout(tinyLayout()));
		const digest = digestOf(readLayout(tinyLayout()).manifest);
		const refused = await s2oci(workspace, ['build', TINY_APP, `${registry.host}/builders/tiny@${digest}`, '--copy']);
		await expectRefused(workspace, refused, /^DIGEST_MISMATCH$/);
	});

	test('in a layer that has another diffID than the config says are refused', async () => {
		const [workspace, registry] = [makeWorkspace(), await emptyRegistry()];
		const parts = tinyParts();
		const other = await tarOf([{ name: 'other' }]);
		const lie = encodeImage(parts, (tar) => gzip(tar === parts.tars.at(-1) ? other : tar));
		publish(registry, lie);
		const refused = await s2oci(workspace, buildArgs(registry));
		await expectRefused(workspace, refused, /^DIGEST_MISMATCH$/, digestOf(parts.tars.at(-1) ?? other));
	});

	test('that never end are refused', async () => {
		const workspace = makeWorkspace();
		const registry = await hostileRegistry([{ name: 'x' }], { hugeManifest: true });
		await expectRefused(workspace, await s2oci(workspace, buildArgs(registry)), /^(IMAGE_INVALID|REGISTRY_REFUSED)$/);
	});
});

describe.each<UserName>(['root', 's2oci-subuid', 's2oci-plain'])('a layer, unpacked by %s,', (name) => {
	for (const [what, entries] of Object.entries(escapes)) {
		test(`with ${what} touches nothing outside`, async (context) => {
			const user = requireUser(context, name);
			const { root } = makeWorkspace();
			const file = join(root, 'outside', 'file');
			mkdirSync(join(root, 'outside'));
			writeFileSync(file, 'of the host');
			chmodSync(join(root, 'outside'), 0o777);
			chmodSync(file, 0o666);
			const workspace = makeWorkspace(user);
			const finished = await s2oci(workspace, buildArgs(await hostileRegistry(entries(file))));
			expect(readFileSync(file, 'utf8')).toBe('of the host');
			expect(listDirectory(join(root, 'outside'))).toEqual(['file']);
			if (finished.status !== 0) await expectRefused(workspace, finished, /^LAYER_(UNSAFE|INVALID)$/);
		});
	}

	test('with device nodes gives assemble no device, and stays as it was in the image', async (context) => {
		const own = makeWorkspace(requireUser(context, name));
		const devices: readonly Entry[] = [
			{ name: 'zero', type: 'character-device', mode: 0o666, devmajor: 1, devminor: 5 },
			{ name: 'disk', type: 'block-device', mode: 0o666, devmajor: 254, devminor: 0 },
		];
		const registry = await hostileRegistry(devices);
		const source = assembleSource('for d in /zero /disk; do if head -c 1 $d; then echo "read $d"; fi; done');
		const { stderr } = await build(own, buildArgs(registry, source).slice(1));
		expect(stderr).not.toMatch(/read \/(zero|disk)/);
		expect([...(await pulled(registry, 'team/app')).entries.keys()]).toEqual([
			'tmp',
			'tmp/scripts',
			'tmp/scripts/assemble',
		]);
	});

	test('with setuid programs gives assemble no privileges', async (context) => {
		const own = makeWorkspace(requireUser(context, name));
		const registry = await hostileRegistry([{ name: 'su', mode: 0o4755, content: '#!/bin/sh\n' }]);
		const source = assembleSource("grep -E '^(NoNewPrivs|CapEff|CapBnd)' /proc/self/status");
		const { stderr } = await build(own, buildArgs(registry, source).slice(1));
		expect(stderr).toMatch(/NoNewPrivs:\s+1/);
		expect(stderr).toMatch(/CapEff:\s+0+\n/);
	});
});

describe('an image whose links point at the host', () => {
	test.each(['proc', 'sys', 'dev'])('at /%s is refused', async (directory) => {
		const workspace = makeWorkspace();
		const registry = await hostileRegistry([{ name: directory, type: 'symlink', linkname: '/tmp' }]);
		const refused = await s2oci(workspace, buildArgs(registry));
		expect(refused.status).toBe(3);
		expect(refused.stderr).toMatch(/^error: .*\nhint: .*\n$/m);
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('at /tmp or /etc/resolv.conf does not lead the build there', async () => {
		const workspace = makeWorkspace();
		const outside = join(workspace.root, 'outside');
		mkdirSync(outside);
		writeFileSync(join(outside, 'resolv'), 'of the host');
		const registry = await hostileRegistry([
			{ name: 'tmp', type: 'symlink', linkname: outside },
			{ name: 'etc/resolv.conf', type: 'symlink', linkname: join(outside, 'resolv') },
		]);
		const finished = await s2oci(workspace, buildArgs(registry));
		expect([0, 3]).toContain(finished.status);
		expect(listDirectory(outside)).toEqual(['resolv']);
		expect(readFileSync(join(outside, 'resolv'), 'utf8')).toBe('of the host');
	});
});

test('an assemble that plants links cannot make the build read or write the host', async () => {
	const workspace = makeWorkspace();
	const secret = join(workspace.root, 'secret');
	writeFileSync(secret, '{"labels":[{"stolen":"canary"}]}');
	const registry = await hostileRegistry([{ name: 'x' }]);
	const source = assembleSource(
		`mkdir -p /tmp/.s2i && ln -s ${secret} /tmp/.s2i/image_metadata.json; ln -s ${secret} ./stolen; ln -s / ./root`,
	);
	await s2oci(workspace, buildArgs(registry, source));
	for (const [, bytes] of registry.blobs) {
		const text = bytes[0] === 0x1f ? '' : Buffer.from(bytes).toString();
		expect(text).not.toContain('canary');
	}
	expect(existsSync(secret)).toBe(true);
});
