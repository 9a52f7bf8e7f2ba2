import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { BuildError } from '../errors.js';
import { absolutePath, ownDirectory } from '../host-path.js';
import type { HostRequest } from '../pipeline/request.js';
import { isInPlace } from '../sandbox/ladder.js';
import { hostOptions } from './host-options.js';
import { type Reading, readValues, type Values } from './options.js';
import { firstSet } from './values.js';

type Environment = Reading['env'];

/** The part of a request that every command has; what `host` does not say is as if nothing was typed. Throws USAGE. */
export function readHostRequest(host: Partial<Values<typeof hostOptions>>, { env }: Pick<Reading, 'env'>): HostRequest {
	const nothing = { texts: [], on: false };
	const unsaid = readValues(hostOptions, () => nothing, { env, program: 's2oci', emit: () => undefined });
	const { store = firstSet(env['S2OCI_STORE']), isolation, userns, rootfs, ...registries } = { ...unsaid, ...host };
	return {
		...registries,
		store: absolutePath(store ?? defaultStore(env)),
		...(store === undefined && { storeByDefault: true }),
		...readRung({ isolation, userns, rootfs }),
		env,
	};
}

type Rung = Pick<HostRequest, 'isolation' | 'userns' | 'rootfs'>;

/** In place there is neither a namespace nor a sandbox, so one of the words says the others. */
function readRung(rung: Rung): Rung {
	const { isolation, userns, rootfs } = rung;
	if (isolation !== 'none' && !isInPlace(rootfs)) return rung;
	const others = [isolation, userns, rootfs].filter((word) => !['auto', 'none', 'in-place'].includes(word));
	if (others.length === 0) return { isolation: 'none', userns, rootfs: 'in-place' };
	throw new BuildError('USAGE', `--rootfs in-place and --isolation none do not go with ${others.join(' and ')}`, {
		hint: 'In place, the build runs in the container of the job, without a sandbox and without namespaces.',
	});
}

/** The XDG specification has relative paths ignored. Without a home the store is in the directory for temporary files. */
function defaultStore(env: Environment): string {
	const cache = firstSet(env['XDG_CACHE_HOME']);
	if (cache !== undefined && isAbsolute(cache)) return join(cache, 's2oci');
	const home = firstSet(env['HOME']) ?? homeOfUser();
	if (isAbsolute(home) && !NO_HOME.test(resolve(home))) return join(home, '.cache/s2oci');
	return ownDirectory(firstSet(env['TMPDIR']) ?? '/tmp');
}

/** Empty for a user without an entry in passwd(5). */
function homeOfUser(): string {
	try {
		return homedir();
	} catch {
		return '';
	}
}

/** What containers without an entry in passwd(5) have for a home, and where the kernel keeps no files. */
const NO_HOME = /^\/(?:(?:proc|sys|dev)(?:\/.*)?)?$/s;
