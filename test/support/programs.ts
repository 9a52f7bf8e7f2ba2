import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * The path of a program that scripts/test put into its cache (cache_dir in scripts/packages.sh), so that no test depends on what a host
 * happens to have: a busybox without shared libraries, or Debian's registry server.
 */
export function keptProgram(name: 'busybox' | 'docker-registry'): string {
	const { S2OCI_TEST_CACHE: own, XDG_CACHE_HOME: caches = join(homedir(), '.cache') } = process.env;
	const path = join(own ?? join(caches, 's2oci-test'), 'bin', name);
	try {
		accessSync(path, constants.X_OK);
	} catch {
		throw new Error(`there is no ${path}; scripts/test brings it, so run that once`);
	}
	return path;
}
