import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/oci/digest.js';
import type { HostBind } from '../../../src/protocol/host-bind.js';
import type { SandboxName } from '../../../src/sandbox/sandboxes.js';
import { lacking, listTree } from '../../support/fs.js';
import { type TarMember, tarDirectory, tarFile, tarSymlink } from '../../support/tar.js';
import { busyboxLayer, openSessions, type SessionPlan, type SessionResult } from './session.js';

/** A file of the host that is there for sure. */
const OF_HOST = fileURLToPath(import.meta.url);

const SANDBOXES: readonly SandboxName[] = ['bwrap', 'runc', 'crun'];

/** Runs a session beside a directory of the host, which must stay as it is. `HOST` in links is its path. */
async function attack(members: readonly TarMember[], plan: Partial<SessionPlan>): Promise<SessionResult> {
	using sessions = openSessions();
	const host = join(sessions.path, 'host');
	mkdirSync(host);
	for (const name of ['probe', 'src', 'resolv.conf', 'passwd']) writeFileSync(join(host, name), 'host');
	const before = listTree(host);
	const aimed = members.map((member) => ({
		...member,
		...(member.link !== undefined && { link: member.link.replace('HOST', host) }),
	}));
	const result = await sessions.run({ layers: [busyboxLayer(...aimed)], script: 'echo ran', pack: {}, ...plan });
	expect(listTree(host)).toEqual(before);
	expect(result.left).toEqual([]);
	return result;
}

describe.each(SANDBOXES)('an image that wants to mislead %s', (sandbox) => {
	const reason = lacking(sandbox, 'unshare');
	const plan = { sandboxes: [sandbox] };

	test.each(['proc', 'dev', 'sys'])(
		'is refused when /%s is a link (CVE-2019-19921, CVE-2025-52565, CVE-2026-41579)',
		async (name) => {
			expect(reason).toBeUndefined();
			const { error } = await attack([tarSymlink(name, 'HOST')], plan);
			expect(error).toMatchObject({ code: 'IMAGE_UNSUPPORTED' });
		},
	);

	test('cannot move the working directory among open files (CVE-2024-21626)', async () => {
		for (const link of ['/proc/self/fd', '/proc/self/fd/7', '/dev/fd']) {
			const { error } = await attack([tarSymlink('opt/app/work', link)], { ...plan, workingDir: '/opt/app/work' });
			expect(error).toMatchObject({ code: 'IMAGE_UNSUPPORTED' });
		}
		const { error } = await attack([], { ...plan, workingDir: '/proc/self/fd/7' });
		expect(error).toMatchObject({ code: 'IMAGE_UNSUPPORTED' });
	});

	test.each<[string, readonly TarMember[]]>([
		['/tmp', [tarSymlink('tmp', 'HOST')]],
		['/tmp/src', [tarSymlink('tmp/src', 'HOST')]],
		['/etc', [tarSymlink('etc', 'HOST')]],
		['/etc/resolv.conf', [tarSymlink('etc/resolv.conf', 'HOST/resolv.conf')]],
		['/etc/hosts', [tarSymlink('etc/hosts', '../../../../../../HOST/probe')]],
		['/opt/app', [tarSymlink('opt/app', 'HOST')]],
	])('is contained when %s is a link (CVE-2021-30465, CVE-2024-1753)', async (_path, members) => {
		const binds = ['hosts', 'resolv.conf'].map((name): HostBind => {
			return {
				source: { type: 'copy', path: OF_HOST },
				destination: `/etc/${name}`,
				type: 'file',
				readOnly: true,
			};
		});
		const { error, stdout } = await attack(members, { ...plan, binds, source: { file: 'source' } });
		if (error === undefined) expect(stdout).toBe('ran\n');
		else expect(error.code).toMatch(/^(?:IMAGE|LAYER)_/);
	});

	test.each<[string, readonly TarMember[]]>([
		['a link to a device that has no end', [tarSymlink('etc/group', '/dev/zero')]],
		['a link to what the kernel shows', [tarSymlink('etc/passwd', '/proc/self/environ')]],
		['a FIFO', [{ name: 'etc/group', flag: '6' }]],
		['a link to a FIFO', [{ name: 'etc/fifo', flag: '6' }, tarSymlink('etc/passwd', 'fifo')]],
		['a directory', [tarDirectory('etc/group')]],
		['a large file', [tarFile('etc/group', 'x'.repeat((1 << 20) + 1))]],
	])('neither hangs it nor takes its memory with %s for passwd or group', async (_what, members) => {
		const result = await attack(members, { ...plan, execute: { timeoutMs: 20_000 } });
		if (sandbox === 'runc') expect(result.error).toMatchObject({ code: 'IMAGE_UNSUPPORTED' });
		else expect(result.stdout).toBe('ran\n');
	});
});

describe('an image that wants to mislead us', () => {
	test('is not followed out of the image when its files are read (CVE-2026-55686, CVE-2024-9676)', async () => {
		const members = [tarSymlink('etc/passwd', 'HOST/passwd'), tarSymlink('etc/group', '/dev/zero')];
		const inspect = { stat: ['/etc/shadow'], read: ['/etc/passwd', '/etc/group'] };
		const { found } = await attack(members, { inspect });
		expect(found?.map(({ path, type, text }) => [path, type, text])).toEqual([
			['/etc/shadow', 'missing', undefined],
			['/etc/passwd', 'missing', undefined],
			['/etc/group', 'missing', undefined],
		]);
	});

	test('cannot make us read what is too large (CVE-2026-47262) or endless', async () => {
		const members = [tarFile('etc/group', Buffer.alloc(2 ** 20 + 1)), tarSymlink('etc/loop', 'loop')];
		const { found } = await attack(members, { inspect: { stat: [], read: ['/etc/group'] } });
		expect(found).toEqual([{ path: '/etc/group', type: 'file', mode: 0o644 }]);
		const endless = await attack(members, { inspect: { stat: [], read: ['/etc/loop'] } });
		expect(endless.error).toMatchObject({ code: 'LAYER_UNSAFE' });
	});

	test('cannot replace the whole image by the source', async () => {
		const { error } = await attack([tarSymlink('tmp/src', '/')], {});
		expect(error).toMatchObject({ code: 'IMAGE_UNSUPPORTED' });
	});
});

describe('a layer whose bytes are not those that its digests promise', () => {
	const other = digestOf(Buffer.from('other'));
	test.each<[string, NonNullable<SessionPlan['wanted']>, string]>([
		['blob digest', (layer) => ({ ...layer, blob: { ...layer.blob, digest: other } }), 'DIGEST_MISMATCH'],
		['diffID', (layer) => ({ ...layer, diffId: other }), 'DIGEST_MISMATCH'],
		['size, larger', (layer) => ({ ...layer, blob: { ...layer.blob, size: layer.blob.size + 1 } }), 'DIGEST_MISMATCH'],
		['size, smaller', (layer) => ({ ...layer, blob: { ...layer.blob, size: 1000 } }), 'DIGEST_MISMATCH'],
		['compression', (layer) => ({ ...layer, compression: 'zstd' }), 'LAYER_INVALID'],
		['compression, as plain tar', (layer) => ({ ...layer, compression: 'none' }), 'LAYER_INVALID'],
	])('is never in the store: %s', async (_what, wanted, code) => {
		const { error, stored } = await attack([], { wanted });
		expect(error).toMatchObject({ code });
		expect(stored).toEqual([]);
	});

	test('is never in the store when the tar itself is hostile', async () => {
		const { error, stored } = await attack([tarFile('../host/probe', 'evil')], {});
		expect(error).toMatchObject({ code: 'LAYER_UNSAFE' });
		expect(stored).toEqual([]);
	});

	test('is in the store once it is as promised, and unpacked only once', async () => {
		using sessions = openSessions();
		const plan = { layers: [busyboxLayer()], script: 'echo ran' };
		const [first, second] = [await sessions.run(plan), await sessions.run(plan)];
		expect([first.present, second.present]).toEqual([[], first.stored]);
		expect([first.stdout, second.stdout]).toEqual(['ran\n', 'ran\n']);
	});
});
