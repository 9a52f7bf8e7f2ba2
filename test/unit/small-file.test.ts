import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkIsFile, readSmallFile } from '../../src/small-file.js';
import { temporaryDirectory } from '../support/fs.js';

test('a file is read as a whole up to the limit, and not at all above it', async () => {
	using directory = temporaryDirectory();
	const path = join(directory.path, 'file');
	await fc.assert(
		fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 0, max: 300 }), async (bytes, limit) => {
			writeFileSync(path, bytes);
			const reading = readSmallFile(path, limit);
			if (bytes.length > limit) await expect(reading).rejects.toThrow('it is larger than');
			else expect(new Uint8Array(await reading)).toEqual(bytes);
		}),
	);
});

test('what is no file is refused at once', async () => {
	using directory = temporaryDirectory();
	const pipe = join(directory.path, 'pipe');
	execFileSync('mkfifo', [pipe]);
	for (const [path, why] of [
		[pipe, 'it is a pipe, which can be read once only'],
		[directory.path, 'it is a directory'],
		['/dev/zero', 'it is a device'],
	] as const) {
		await expect(readSmallFile(path, 1024)).rejects.toThrow(why);
		await expect(checkIsFile(path)).rejects.toThrow(why);
	}
	await expect(readSmallFile(join(directory.path, 'none'), 1024)).rejects.toMatchObject({ code: 'ENOENT' });
	expect(await readSmallFile('/dev/null', 1024)).toHaveLength(0);
});

test('a file whose size is not told, or grows, is read up to the limit', async () => {
	const all = (await readSmallFile('/proc/self/maps', 1 << 24)).length;
	expect(all).toBeGreaterThan(1000);
	await expect(readSmallFile('/proc/self/maps', 1024)).rejects.toThrow('it is larger than 1 KiB');
});
