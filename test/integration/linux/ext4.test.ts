import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { makeScratch } from '../../../src/host/make-scratch.js';
import { spreadDirectories } from '../../../src/linux/ext4.js';
import { readStore } from '../../../src/pipeline/doctor/store-state.js';
import { lacking } from '../../support/fs.js';
import { skipFor } from '../../support/needs.js';

const directory = mkdtempSync(join(tmpdir(), 's2oci-ext4-'));
const mounted: string[] = [];

/** A new ext4 of 16 MiB, mounted. */
function mountExt4(name: string, features: string): string {
	const [image, target] = [join(directory, `${name}.img`), join(directory, name)];
	execFileSync('truncate', ['--size=16M', image]);
	execFileSync('mkfs.ext4', ['-q', '-O', features, image], { stdio: 'ignore' });
	mkdirSync(target);
	execFileSync('mount', ['-o', 'loop', image, target], { stdio: 'ignore' });
	mounted.push(target);
	return target;
}

/** Why no file system can be mounted from a file here; undefined when one can. */
function unmountable(): string | undefined {
	if (process.getuid?.() !== 0) return 'only root can mount a file system';
	if (!existsSync('/dev/loop-control')) return 'there are no loop devices';
	return lacking('mkfs.ext4', 'mount', 'umount', 'lsattr', 'chattr');
}

/** The attributes of `path` as lsattr(1) shows them. */
function attributesOf(path: string): string {
	return execFileSync('lsattr', ['-d', path], { encoding: 'utf8' }).split(' ')[0] ?? '';
}

/** As `doctor` made it once. */
function makeWork(store: string): void {
	mkdirSync(join(store, 'work'), { recursive: true });
}

afterAll(() => {
	for (const target of mounted) execFileSync('umount', [target]);
	rmSync(directory, { recursive: true, force: true });
});

describe('directories on ext4', () => {
	beforeEach((context) => skipFor(context, unmountable()));

	test('are spread where there is no journal, with the attributes that they had', async () => {
		const parent = join(mountExt4('plain', '^has_journal'), 'work');
		mkdirSync(parent);
		execFileSync('chattr', ['+d', parent]);
		await spreadDirectories(parent);
		expect(attributesOf(parent)).toMatch(/d.*T/);
	});

	test.each([
		['a build', 'build', makeScratch],
		['doctor', 'doctor', readStore],
		['an older doctor, which left it as it was', 'older', makeWork],
	])('of a store are spread although it was made by %s', async (_who, name, make) => {
		const parent = join(mountExt4(name, '^has_journal'), 'setgid');
		mkdirSync(parent);
		chmodSync(parent, 0o2777);
		const store = join(parent, 'store');
		make(store);
		const scratch = await makeScratch(store);
		expect(attributesOf(join(store, 'work'))).toContain('T');
		expect(lstatSync(scratch).mode & 0o7777).toBe(0o700);
	});

	test('stay together where there is one', async () => {
		const parent = join(mountExt4('journaled', 'has_journal'), 'work');
		mkdirSync(parent);
		await spreadDirectories(parent);
		expect(attributesOf(parent)).not.toContain('T');
	});
});

test('a directory that is not on ext4, or is not there, is left as it is', async () => {
	await expect(spreadDirectories('/proc')).resolves.toBeUndefined();
	await expect(spreadDirectories(join(directory, 'missing'))).resolves.toBeUndefined();
});
