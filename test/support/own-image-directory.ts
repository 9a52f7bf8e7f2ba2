import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from './fs.js';

/** Names, for all tests of a run, where the images of s2oci lie once a test has made them; they are removed after the last. */
export default function setup(): () => void {
	const directory = mkdtempSync(join(tmpdir(), 's2oci-own-images-'));
	process.env['S2OCI_TEST_OWN_IMAGES'] = directory;
	return () => removeTree(directory);
}
