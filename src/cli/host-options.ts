import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { BuildError } from '../errors.js';
import { absolutePath, ownDirectory } from '../host-path.js';
import { hostPlatform, parsePlatform } from '../oci/platform.js';
import { ISOLATIONS, ROOT_FILESYSTEMS, USER_NAMESPACES } from '../pipeline/choices.js';
import type { HostRequest } from '../pipeline/request.js';
import { redact } from '../redact.js';
import { isInPlace } from '../sandbox/ladder.js';
import {
	choice,
	each,
	flag,
	list,
	option,
	type Read,
	type Reading,
	readValues,
	section,
	type Values,
} from './options.js';
import { firstSet, impossible, LOG_FORMATS, LOG_LEVELS, listed } from './values.js';

const readRegistryHost: Read<string> = (text, name) => {
	if (/^(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?$/i.test(text)) return text.toLowerCase();
	throw impossible(name, text, 'Give a host with an optional port, such as registry.example:5000.');
};

const readLoglevel: Read<number> = (text, name) => {
	if (/^-?\d{1,9}$/.test(text)) return Number(text);
	throw impossible(name, text, 'Give a number from 0 (essentials) to 5 (every file).');
};

/** The certificate authorities that `env` names, as other programs read it; they need not be there. Throws USAGE as {@link absolutePath}. */
export function bundleOf(env: Environment): string | undefined {
	const path = firstSet(env['SSL_CERT_FILE'], env['NODE_EXTRA_CA_CERTS']);
	return path === undefined ? undefined : absolutePath(path);
}

/** Where images come from and what they run in; of every command that runs a sandbox. */
export const hostOptions = {
	...section('Registries', {
		platform: option('platform', 'OS/ARCH', 'variant of a multi-platform image; default that of this host', {
			read: parsePlatform,
			absent: () => hostPlatform(process.arch),
		}),
		dockerConfig: option('dockercfg-path', 'FILE', 'registry credentials; default what podman and docker login write', {
			offer: 'file',
			read: absolutePath,
		}),
		insecureRegistries: list(
			'insecure-registry',
			'HOST',
			'registry that may use plain HTTP or an unverified certificate',
			{ read: each(readRegistryHost) },
		),
		caBundle: option(
			'ca-bundle',
			'FILE',
			'extra certificate authorities; default $SSL_CERT_FILE or $NODE_EXTRA_CA_CERTS',
			{
				offer: 'file',
				read: absolutePath,
				absent: ({ env }) => bundleOf(env),
			},
		),
	}),
	...section('Sandbox', {
		isolation: choice(
			'isolation',
			'KIND',
			ISOLATIONS,
			`what runs scripts: ${listed(ISOLATIONS, { chroot: 'for root without mounts', none: 'in place' })}; default auto`,
		),
		userns: choice('userns', 'KIND', USER_NAMESPACES, `user namespace: ${listed(USER_NAMESPACES)}; default auto`),
		rootfs: choice(
			'rootfs',
			'KIND',
			ROOT_FILESYSTEMS,
			`how the image is laid out: ${listed(ROOT_FILESYSTEMS, { 'in-place': 'the job runs in it' })}; default auto`,
		),
	}),
	...section('General', {
		store: option(
			'store',
			'DIR',
			'where unpacked layers are kept; default $S2OCI_STORE, else $XDG_CACHE_HOME/s2oci, else ~/.cache/s2oci. In a container, users ' +
				'other than root, and builds with --rootfs in-place or --isolation none, have that default on volumes only: else it is ' +
				's2oci-UID in $RUNNER_TEMP, $CI_BUILDS_DIR or $TMPDIR on a volume, else in /tmp',
			{ offer: 'directory', read: absolutePath },
		),
	}),
};

/** How the command reports. */
export const reportOptions = section('General', {
	quiet: flag('quiet', "no progress, no steps, no stdout of the image's scripts", 'q'),
	loglevel: option(
		'loglevel',
		'0-5',
		'0 essentials, 1 steps, 2 configuration, 3 decisions, 4 transfers, 5 files; default 1',
		{ offer: LOG_LEVELS, read: readLoglevel },
	),
	logFormat: choice('log-format', 'FORMAT', LOG_FORMATS, `${listed(LOG_FORMATS)}; default auto`),
});

/** Which store a command looks after, and who may touch its files. */
export const storeOptions = { userns: hostOptions.userns, store: hostOptions.store };

/** What such a command prints, in a line, where there is no store at `path`: on a runner that is new, that is no failure. */
export function noStoreAt(path: string): string {
	return `store ${redact(path)}: there is no such directory; the first build that uses it makes it`;
}

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
		stdin: standardInput,
		env,
	};
}

const standardInput = () => process.stdin;

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
