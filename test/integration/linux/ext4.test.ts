import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { spreadDirectories } from '../../../src/linux/ext4.js';

const directory = mkdtempSync(join(tmpdir(), 's2oci-ext4-'));
const mounted: string[] = [];

/** A new ext4 of 16 MiB, mounted; undefined where nothing can be mounted from a file. */
function mountExt4(name: string, features: string): string | undefined {
	const [image, target] = [join(directory, `${name}.img`), join(directory, name)];
	try {
		execFileSync('truncate', ['--size=16M', image]);
		execFileSync('mkfs.ext4', ['-q', '-O', features, image], { stdio: 'ignore' });
		mkdirSync(target);
		execFileSync('mount', ['-o', 'loop', image, target], { stdio: 'ignore' });
		mounted.push(target);
		return target;
	} catch {
		return undefined;
	}
}

/** The attributes of `path` as lsattr(1) shows them. */
function attributesOf(path: string): string {
	return execFileSync('lsattr', ['-d', path], { encoding: 'utf8' }).split(' ')[0] ?? '';
}

afterAll(() => {
	for (const target of mounted) execFileSync('umount', [target]);
	rmSync(directory, { recursive: true, force: true });
});

const [journaled, plain] = [mountExt4('journaled', 'has_journal'), mountExt4('plain', '^has_journal')];

describe.skipIf(journaled === undefined || plain === undefined)(
	'directories on ext4 (skipped without root and loop devices)',
	() => {
		test('are spread where there is no journal, with the attributes that they had', async () => {
			const parent = join(plain ?? '', 'work');
			mkdirSync(parent);
			execFileSync('chattr', ['+d', parent]);
			await spreadDirectories(parent);
			expect(attributesOf(parent)).toMatch(/d.*T/);
		});

		test('stay together where there is one', async () => {
			const parent = join(journaled ?? '', 'work');
			mkdirSync(parent);
			await spreadDirectories(parent);
			expect(attributesOf(parent)).not.toContain('T');
		});
	},
);

test('a directory that is not on ext4, or is not there, is left as it is', async () => {
	await expect(spreadDirectories('/proc')).resolves.toBeUndefined();
	await expect(spreadDirectories(join(directory, 'missing'))).resolves.toBeUndefined();
});
