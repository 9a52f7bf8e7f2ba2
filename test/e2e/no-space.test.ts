import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Finished, s2oci } from '../support/build.js';
import { leftovers, makeWorkspace, requirePrograms, requireRoot, type Workspace } from '../support/host.js';
import { needs } from '../support/needs.js';
import { assembleSource, TINY_APP, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const builder = (): string => `oci:${tinyLayout()}:latest`;
const BIG = Buffer.alloc(6 << 20, 'what does not fit, since it is not nothing\n');

beforeEach(requireRoot);

/** Builds after the shell lines `setup`, which run in a mount namespace of its own; `$ROOT` is the workspace. */
function buildAfter(workspace: Workspace, setup: string, args: readonly string[]): Promise<Finished> {
	const script = `set -e; ROOT=${workspace.root}; mkdir -p $ROOT/store; ${setup}\nexec "$@"`;
	return s2oci(workspace, ['build', ...args], { wrapper: ['unshare', '--mount', 'sh', '-c', script, 'sh'] });
}

const small = (size: string, where = 'store') =>
	`mkdir -p $ROOT/${where}; mount -t tmpfs -o ${size},mode=0700 tmpfs $ROOT/${where}`;

/** A source of several MiB, as `kind` of thing. */
function bigSource(workspace: Workspace, kind: 'directory' | 'git' | 'tar' | 'tar.gz' | 'zip'): readonly string[] {
	const directory = join(workspace.root, 'big');
	mkdirSync(directory);
	writeFileSync(join(directory, 'file'), BIG);
	const run = (program: string, ...args: readonly string[]) =>
		execFileSync(program, args, { cwd: directory, stdio: 'ignore', env: { ...process.env, HOME: workspace.home } });
	if (kind === 'directory') return [directory, '--copy'];
	if (kind === 'git') {
		run('git', 'init', '--quiet');
		run('git', 'add', '.');
		run('git', '-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '--quiet', '-m', 'big');
		return [`file://${directory}`];
	}
	const archive = join(workspace.root, `big.${kind}`);
	if (kind === 'zip') writeFileSync(archive, zipOf(BIG));
	else run('tar', kind === 'tar' ? '-cf' : '-czf', archive, 'file');
	return [archive];
}

/** A zip file with one member, stored. */
function zipOf(content: Buffer): Buffer {
	const name = Buffer.from('file');
	const crc = crc32(content);
	const fields = (central: boolean) => {
		const head = Buffer.alloc(central ? 46 : 30);
		head.writeUInt32LE(central ? 0x02014b50 : 0x04034b50, 0);
		const at = central ? 6 : 4;
		head.writeUInt16LE(10, at);
		head.writeUInt32LE(crc, at + 10);
		head.writeUInt32LE(content.length, at + 14);
		head.writeUInt32LE(content.length, at + 18);
		head.writeUInt16LE(name.length, at + 22);
		return head;
	};
	const local = Buffer.concat([fields(false), name, content]);
	const central = Buffer.concat([fields(true), name]);
	const end = Buffer.alloc(22);
	end.writeUInt32LE(0x06054b50, 0);
	end.writeUInt16LE(1, 8);
	end.writeUInt16LE(1, 10);
	end.writeUInt32LE(central.length, 12);
	end.writeUInt32LE(local.length, 16);
	return Buffer.concat([local, central, end]);
}

async function expectNoSpace(workspace: Workspace, failed: Finished, place: string): Promise<void> {
	expect(failed.stderr).not.toMatch(/this is a bug|^\s+at /m);
	expect(failed.result?.error, failed.stderr).toMatchObject({ code: 'HOST_NO_SPACE' });
	expect(failed.result?.error?.message).toContain(place);
	expect(failed.result?.error?.hint).toBeTruthy();
	expect(failed.status).toBe(4);
	expect(await leftovers(workspace)).toEqual([]);
}

describe('a store without room', () => {
	test.each(['directory', 'git', 'tar', 'tar.gz', 'zip'] as const)(
		'for a source that is a %s is named',
		async (kind) => {
			const workspace = makeWorkspace();
			const failed = await buildAfter(workspace, small('size=4m'), [...bigSource(workspace, kind), builder()]);
			await expectNoSpace(workspace, failed, workspace.store);
		},
	);

	test('for more files is named', async () => {
		const workspace = makeWorkspace();
		const files = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`d${String(index)}/f`, '']));
		const source = assembleSource('true', files);
		const failed = await buildAfter(workspace, small('size=40m,nr_inodes=200'), [source, builder(), '--copy']);
		await expectNoSpace(workspace, failed, workspace.store);
	});

	test.each([
		['1200k', 'the image itself', []],
		['2200k', 'a copy of the image', ['--rootfs', 'copy']],
	])('of %s for %s is named', async (size, _what, more) => {
		const workspace = makeWorkspace();
		const failed = await buildAfter(workspace, small(`size=${size}`), [TINY_APP, builder(), '--copy', ...more]);
		await expectNoSpace(workspace, failed, workspace.store);
	});

	test('for what assemble writes is a hint', async () => {
		const source = assembleSource('dd if=/dev/zero of=big bs=1k count=9000');
		const failed = await buildAfter(makeWorkspace(), small('size=4m'), [source, builder(), '--copy']);
		expect(failed.result?.error).toMatchObject({
			code: 'ASSEMBLE_FAILED',
			hint: expect.stringContaining('--store') as string,
		});
	});
});

describe('a full quota', () => {
	const limited = (
		size: string,
	) => `truncate --size=200M $ROOT/img; mkfs.btrfs -q $ROOT/img >&2; mount -o loop,nodev $ROOT/img $ROOT/store
		btrfs quota enable $ROOT/store; btrfs qgroup limit ${size} $ROOT/store`;

	beforeEach((context) => {
		requirePrograms(context, 'mkfs.btrfs', 'btrfs');
		needs(context, /\tbtrfs$/m.test(readFileSync('/proc/filesystems', 'utf8')), 'the kernel has no btrfs');
	});

	test.each(['directory', 'git', 'tar'] as const)('for a source that is a %s is named', async (kind) => {
		const workspace = makeWorkspace();
		const failed = await buildAfter(workspace, limited('4M'), [...bigSource(workspace, kind), builder()]);
		await expectNoSpace(workspace, failed, workspace.store);
		expect(failed.result?.error?.message).toContain('quota');
	});

	test('for what assemble writes is a hint', async () => {
		const source = assembleSource('dd if=/dev/urandom of=big bs=1k count=60000');
		const failed = await buildAfter(makeWorkspace(), limited('40M'), [source, builder(), '--copy']);
		expect(failed.result?.error).toMatchObject({
			code: 'ASSEMBLE_FAILED',
			hint: expect.stringContaining('--store') as string,
		});
	});
});

describe('no room for', () => {
	test.each(['oci', 'docker-archive'])('the image as %s names the place', async (type) => {
		const workspace = makeWorkspace();
		const place = `${workspace.root}/full/image`;
		const failed = await buildAfter(workspace, small('size=64k', 'full'), [
			TINY_APP,
			builder(),
			'--copy',
			'-o',
			`${type}:${place}`,
		]);
		await expectNoSpace(workspace, failed, place);
	});

	test('the result file names it, and the image is there', async () => {
		const workspace = makeWorkspace();
		const file = `${workspace.root}/full/result.json`;
		const setup = `${small('size=4k', 'full')}; dd if=/dev/zero of=$ROOT/full/zeros bs=1k count=64 2>/dev/null || true`;
		const failed = await buildAfter(workspace, setup, [
			TINY_APP,
			builder(),
			'--copy',
			'-o',
			`oci:${workspace.home}/image`,
			'--result-file',
			file,
		]);
		expect([failed.status, failed.stderr]).toEqual([4, expect.stringContaining(file) as string]);
		expect(failed.stderr).toMatch(/^error: no space is left.*\nhint: .*the image itself is complete/m);
	});

	test('a line on stdout is an error, and a log is none', async () => {
		const workspace = makeWorkspace();
		const args = ['build', TINY_APP, builder(), '--copy'];
		const lost = await s2oci(workspace, args, { wrapper: ['sh', '-c', 'exec "$@" >/dev/full', 'sh'] });
		expect([lost.status, lost.stderr]).toEqual([4, expect.stringContaining('standard output') as string]);
		const quiet = await s2oci(workspace, args, { wrapper: ['sh', '-c', 'exec "$@" 2>/dev/full', 'sh'] });
		expect([quiet.status, quiet.result?.success]).toEqual([0, true]);
	});
});

describe('a limit on the size of files', () => {
	test.each(['directory', 'git', 'tar'] as const)('that a source meets as a %s is no bad source', async (kind) => {
		const workspace = makeWorkspace();
		const source = bigSource(workspace, kind);
		const failed = await buildAfter(workspace, 'ulimit -f 4096', [...source, builder()]);
		await expectNoSpace(workspace, failed, workspace.store);
		expect(failed.result?.error?.hint).toContain('ulimit -f');
	});
});
