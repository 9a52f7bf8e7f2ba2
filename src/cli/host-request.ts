import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { BuildError } from '../errors.js';
import { absolutePath, ownDirectory } from '../host-path.js';
import { hostPlatform, parsePlatform } from '../oci/platform.js';
import { ISOLATIONS, PULL_POLICIES, ROOT_FILESYSTEMS, USER_NAMESPACES } from '../pipeline/choices.js';
import type { Emit } from '../pipeline/events.js';
import type { HostRequest, PullPolicy } from '../pipeline/request.js';
import { redact } from '../redact.js';
import { isInPlace } from '../sandbox/ladder.js';
import { closest } from './closest.js';
import type { HostArguments } from './host-options.js';
import type { ProgramName } from './words.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** What the reading of arguments may know besides them. */
export interface RequestContext {
	readonly env: Environment;
	/** The name under which the program was called. */
	readonly program: ProgramName;
	/** Told of what is deprecated or has no effect. */
	readonly emit: Emit;
}

/** The part of a request that every command has. Throws USAGE. */
export function readHostRequest(args: HostArguments, env: Environment): HostRequest {
	const caBundle = firstSet(args.caBundle, env['SSL_CERT_FILE'], env['NODE_EXTRA_CA_CERTS']);
	const platform = firstSet(args.platform);
	const named = firstSet(args.store, env['S2OCI_STORE']);
	return {
		store: absolutePath(named ?? defaultStore(env)),
		...(named === undefined && { storeByDefault: true }),
		...readRung(args),
		platform: platform === undefined ? hostPlatform(process.arch) : parsePlatform(platform),
		insecureRegistries: args.insecureRegistries.map(readRegistryHost),
		caBundle: readPath(caBundle),
		dockerConfig: readPath(args.dockerConfig),
		env,
	};
}

/** In place there is neither a namespace nor a sandbox, so one of the words says the others. */
function readRung(args: HostArguments): Pick<HostRequest, 'isolation' | 'userns' | 'rootfs'> {
	const isolation = oneOf('--isolation', ISOLATIONS, args.isolation);
	const userns = oneOf('--userns', USER_NAMESPACES, args.userns);
	const rootfs = oneOf('--rootfs', ROOT_FILESYSTEMS, args.rootfs);
	if (isolation !== 'none' && !isInPlace(rootfs)) return { isolation, userns, rootfs };
	const others = [isolation, userns, rootfs].filter((word) => !['auto', 'none', 'in-place'].includes(word));
	if (others.length === 0) return { isolation: 'none', userns, rootfs: 'in-place' };
	throw new BuildError('USAGE', `--rootfs in-place and --isolation none do not go with ${others.join(' and ')}`, {
		hint: 'In place, the build runs in the container of the job, without a sandbox and without namespaces.',
	});
}

/** The pull policy that `option` got. Throws USAGE. */
export function readPullPolicy(option: string, text: string | undefined): PullPolicy {
	return oneOf(option, PULL_POLICIES, text);
}

/** `text` as one of `values`, `values[0]` when it is undefined or empty. Throws USAGE that names `option`. */
export function oneOf<T extends string>(option: string, values: readonly [T, ...T[]], text: string | undefined): T {
	if (text === undefined || text === '') return values[0];
	const value = values.find((each) => each === text);
	if (value !== undefined) return value;
	const near = closest(text, values);
	throw impossible(option, text, near === undefined ? `Use one of ${values.join(', ')}.` : `Did you mean ${near}?`);
}

/** USAGE for a value that an option cannot take; the value is redacted. */
export function impossible(option: string, text: string, hint: string): BuildError {
	return new BuildError('USAGE', `${option} does not take ${JSON.stringify(redact(text).slice(0, 100))}`, { hint });
}

/** A path as an absolute one; undefined for an empty one, so that `--option "$UNSET"` is the same as no option. */
export function readPath(text: string | undefined): string | undefined {
	return text === undefined || text === '' ? undefined : absolutePath(text);
}

/** The first of `values` that is neither undefined nor empty. */
export function firstSet(...values: readonly (string | undefined)[]): string | undefined {
	return values.find((value) => value !== undefined && value !== '');
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

function readRegistryHost(text: string): string {
	if (/^(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?$/i.test(text)) return text.toLowerCase();
	throw impossible('--insecure-registry', text, 'Give a host with an optional port, such as registry.example:5000.');
}
