// Runs in the image for volumes: puts /s2oci into the directory that is named, in place of the one that is there.
import { cpSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const HOST = 4;
const [directory] = process.argv.slice(2);
if (directory === undefined) fail('no directory is named', 'Give the directory at which the volume is mounted.', 2);
let scratch;
try {
	scratch = mkdtempSync(join(directory, '.s2oci-'));
	const [made, target] = [join(scratch, 's2oci'), join(directory, 's2oci')];
	cpSync('/s2oci', made, { recursive: true, verbatimSymlinks: true });
	if (existsSync(target)) renameSync(target, join(scratch, 'old'));
	renameSync(made, target);
} catch (error) {
	fail(
		`cannot put s2oci into ${directory}: ${error.message}`,
		'Mount a volume there that this user may write to.',
		HOST,
	);
} finally {
	if (scratch !== undefined) rmSync(scratch, { recursive: true, force: true });
}

function fail(message, hint, status) {
	process.stderr.write(`error: ${message}\nhint: ${hint}\n`);
	process.exitCode = status;
	if (directory === undefined) process.exit();
}
