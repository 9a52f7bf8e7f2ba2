import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../support/fs.js';
import { cutAt } from '../../support/tar.js';
import { readTar } from '../../unit/tar/entries.js';

const KIB = 1024;
const FORMATS: readonly (readonly [string, readonly string[]])[] = [
	['old GNU', ['--format=gnu']],
	['pax 0.0', ['--format=posix', '--sparse-version=0.0']],
	['pax 0.1', ['--format=posix', '--sparse-version=0.1']],
	['pax 1.0', ['--format=posix', '--sparse-version=1.0']],
];
/** Where content is, in bytes, and how long the file is. */
const FILES: readonly (readonly [string, readonly number[], number])[] = [
	['nothing but a hole', [], 3000 * KIB],
	['content at both ends', [0, 996 * KIB], 1000 * KIB],
	['a hole at its end', [0, 64 * KIB], 600 * KIB + 1],
	['a hole at its beginning', [512 * KIB], 516 * KIB],
	['more parts than one header holds', Array.from({ length: 9 }, (_none, index) => index * 32 * KIB), 300 * KIB],
	['more parts than one extension holds', Array.from({ length: 60 }, (_none, index) => index * 16 * KIB), 999 * KIB],
];

function sparseFile(path: string, parts: readonly number[], size: number): void {
	const file = openSync(path, 'w');
	ftruncateSync(file, size);
	for (const [index, offset] of parts.entries()) writeSync(file, Buffer.alloc(4 * KIB, index + 1), 0, 4 * KIB, offset);
	closeSync(file);
}

describe.each(FORMATS)('a sparse file that GNU tar wrote as %s', (_what, options) => {
	test.each(FILES)('with %s is read whole, however the archive is cut', (_which, parts, size) => {
		using directory = temporaryDirectory();
		sparseFile(join(directory.path, 'file'), parts, size);
		writeFileSync(join(directory.path, 'next'), 'behind it');
		const tar = execFileSync(
			'tar',
			['--sparse', '--hole-detection=raw', ...options, '-C', directory.path, '-cf', '-', 'file', 'next'],
			{ maxBuffer: 1 << 26 },
		);
		expect(tar.length).toBeLessThan(size);
		const whole = readFileSync(join(directory.path, 'file'));
		for (const chunks of [[tar], cutAt(tar, [1, 300, 512, 513, 700, 1024, 1500, 2000, 2048, 3000, 5000])]) {
			const [file, next] = readTar(chunks);
			expect(file?.entry).toMatchObject({ path: 'file', type: 'file', size });
			expect(file?.body.equals(whole)).toBe(true);
			expect(next?.body.toString()).toBe('behind it');
		}
	});
});
