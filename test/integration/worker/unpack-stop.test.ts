import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { digestOf } from '../../../src/oci/digest.js';
import { temporaryDirectory } from '../../support/fs.js';
import { tarFile, tarOf } from '../../support/tar.js';

const dist = new URL(process.env['S2OCI_TEST_DIST'] ?? '../../../dist/', import.meta.url);
const PROGRAM = fileURLToPath(new URL('./unpack-stop.mjs', import.meta.url));

test('unpacking that is stopped at any moment ends, and the process goes on', async () => {
	using directory = temporaryDirectory();
	const tar = tarOf([tarFile('file', 'x'.repeat(10_000))]);
	const blob = gzipSync(tar);
	const args = [dist.href, directory.path, digestOf(blob), digestOf(tar), blob.toString('base64')];
	const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, ...args]);
	expect(stdout).toBe('stopped each time\n');
});
