import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { BuildError, messageOf } from '../errors.js';
import { absolutePath } from '../host-path.js';
import type { Secret } from '../pipeline/request.js';
import { redact } from '../redact.js';
import { parseAssignment } from '../s2i/environment.js';
import { parseInjections, parseVolume } from '../s2i/volumes.js';
import { ARCHITECTURES } from '../sandbox/bpf.js';
import type { Limits } from '../sandbox/limits.js';
import { readProfile } from '../sandbox/read-profile.js';
import { each, list, option, type Read, type ReadAll, section } from './options.js';
import { impossible, listed, NETWORKS, readDuration, readNumber, readSize } from './values.js';

const CAPABILITIES =
	'AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID ' +
	'IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW ' +
	'PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO ' +
	'SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM';
const KNOWN: ReadonlySet<string> = new Set(CAPABILITIES.split(' '));
const ULIMITS = /^(?:core|cpu|data|fsize|locks|memlock|msgqueue|nice|nofile|nproc|rss|rtprio|rttime|sigpending|stack)$/;
/** With less, runc and what it starts do not fit themselves. */
const LEAST_MEMORY = 6 * 1024 ** 2;

/** Reads what scripts can reach; the networks of a Docker daemon are the host's, with a notice. Throws USAGE. */
const readNetwork: Read<Limits['network']> = (text, option, { emit }) => {
	if (text === 'bridge' || text === 'default') {
		const message = `--network ${text} is the host's network here: there is no daemon that has a bridge`;
		emit({ type: 'warning', code: 'NETWORK', message });
		return 'host';
	}
	if (text === 'host' || text === 'none') return text;
	throw impossible(option, text, 'Use host or none: networks and containers with a name belong to a Docker daemon.');
};

/** Reads a line of /etc/hosts, `NAME:IP`. Throws USAGE. */
const readAddHost: Read<Limits['addHosts'][number]> = (text, option) => {
	const at = text.indexOf(':');
	const name = text.slice(0, Math.max(at, 0));
	const address = text.slice(at + 1).replace(/^\[(.*)\]$/, '$1');
	if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/.test(name) && isIP(address) !== 0) return { name, address };
	throw impossible(option, text, 'Give NAME:IP, such as registry.example:10.0.0.7 or six.example:2001:db8::7.');
};

/** Reads lists of capabilities(7), each once. Throws USAGE. */
const readCapabilities: ReadAll<readonly string[]> = (texts, option) => [
	...new Set(texts.flatMap((text) => text.split(',')).map((text) => readCapability(text, option))),
];

/** Reads an amount of memory that a sandbox fits in. Throws USAGE. */
const readMemory: Read<number> = (text, option) => {
	const hint = 'Give at least 6m, such as 512m or 2g.';
	const bytes = readSize(hint)(text, option);
	if (bytes >= LEAST_MEMORY) return bytes;
	throw impossible(option, text, hint);
};

/** Reads a limit of setrlimit(2), `NAME=SOFT[:HARD]`. Throws USAGE. */
const readUlimit: Read<Limits['ulimits'][number]> = (text, option) => {
	const [, name = '', soft = '', hard = soft] = /^([a-z]+)=(\d{1,15})(?::(\d{1,15}))?$/.exec(text) ?? [];
	if (ULIMITS.test(name) && Number(soft) <= Number(hard)) return { name, soft: Number(soft), hard: Number(hard) };
	throw impossible(option, text, 'Give NAME=SOFT[:HARD], such as nofile=1024:4096; soft is at most hard.');
};

function readCapability(text: string, option: string): string {
	const name = text.trim().toUpperCase().replace(/^CAP_/, '');
	if (name === 'ALL') return name;
	if (KNOWN.has(name)) return `CAP_${name}`;
	throw impossible(option, text, 'Give names of capabilities(7), such as SETUID,NET_RAW, or all.');
}

const OPTION = '--security-opt';
const MAX_BYTES = 1024 * 1024;
/** What engines do on demand and every sandbox here does anyway, and in which words. */
const ALREADY = /^(?:no-new-privileges(?:[=:]true)?|apparmor[=:]unconfined|label[=:]disable)$/;
const SECURITY_HINT =
	'There are seccomp=unconfined, seccomp=FILE with a profile as Docker and Podman have it, and no-new-privileges, which is always so.';

/**
 * The filter that options in the words of Docker and Podman ask for; the last one counts. What they say and is so anyway is a notice.
 * Throws USAGE for all else, and for a file that is no profile.
 */
export const readSecurityOptions: ReadAll<Limits['seccomp']> = (options, _name, { emit }) => {
	let seccomp: Limits['seccomp'] = 'default';
	for (const option of options) {
		const [, profile] = /^seccomp[=:](.+)$/s.exec(option) ?? [];
		if (profile !== undefined) seccomp = readSeccomp(profile);
		else if (ALREADY.test(option)) {
			emit({ type: 'log', level: 1, message: `${OPTION} ${option} changes nothing: it is so in every sandbox` });
		} else throw impossible(OPTION, option, SECURITY_HINT);
	}
	return seccomp;
};

function readSeccomp(profile: string): Limits['seccomp'] {
	if (profile === 'unconfined') return profile;
	if (profile === 'default' || profile === 'builtin') return 'default';
	const path = absolutePath(profile);
	try {
		return readProfile(readSmallFile(path), ARCHITECTURES[process.arch]?.[0]?.name ?? '');
	} catch (error) {
		const reason = messageOf(error).split('\n')[0] ?? '';
		throw new BuildError('USAGE', redact(`${OPTION} seccomp=${path}: ${reason}`), {
			hint: 'Give a JSON file such as the default profile of Docker or Podman, or unconfined.',
		});
	}
}

function readSmallFile(path: string): string {
	const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
	try {
		const stats = fstatSync(fd);
		if (!stats.isFile()) throw new Error('it is no file');
		if (stats.size > MAX_BYTES) throw new Error('it is larger than 1 MiB');
		return readFileSync(fd, 'utf8');
	} finally {
		closeSync(fd);
	}
}

/** Variables and files of assemble: none of it gets into the image. */
export const inputOptions = section('Only for assemble, never in the image', {
	buildEnvironment: list('build-env', 'NAME=VALUE', 'environment variable', {
		read: each((text) => parseAssignment(text, '--build-env')),
	}),
	secrets: list('secret', 'id=NAME[,src=FILE|env=VAR]', 'file /run/secrets/NAME, from a file or a variable', {
		read: readSecrets,
	}),
	injections: list('inject', 'SRC[:DST]', 'file or directory to read, below WORKDIR when DST is relative', {
		short: 'i',
		read: (texts) => texts.flatMap((text) => parseInjections(text, absolutePath)),
	}),
	volumes: list('volume', 'SRC:DST[:ro]', 'directory or file of the host to use in place', {
		short: 'v',
		read: each((text) => parseVolume(text, absolutePath)),
	}),
});

/** What scripts may use. */
export const sandboxOptions = section('Sandbox', {
	limits: {
		network: option('network', 'KIND', `${listed(NETWORKS)}; default host`, {
			offer: NETWORKS,
			read: readNetwork,
			absent: (): Limits['network'] => 'host',
		}),
		addHosts: list('add-host', 'NAME:IP', 'line of /etc/hosts', { read: each(readAddHost) }),
		capDrop: list('cap-drop', 'CAP[,CAP]', 'capabilities to take away, or all', { read: readCapabilities }),
		seccomp: list('security-opt', 'NAME=VALUE', 'seccomp=unconfined, or seccomp=FILE with a profile', {
			read: readSecurityOptions,
		}),
		memory: option('memory', 'BYTES', 'memory, such as 512m or 2g, in units of 1024; a bare number is bytes', {
			read: readMemory,
		}),
		cpus: option('cpus', 'NUMBER', 'processors, such as 1.5', {
			read: readNumber(/^\d{1,5}(?:\.\d{1,6})?$|^\.\d{1,6}$/, 'Give a number such as 2 or 1.5.'),
		}),
		pids: option('pids-limit', 'NUMBER', 'processes and threads', {
			read: readNumber(/^\d{1,7}$/, 'Give a whole number, at least 1.'),
		}),
		ulimits: list('ulimit', 'NAME=SOFT[:HARD]', 'resource limit, such as nofile=1024:4096', { read: each(readUlimit) }),
	},
	assembleTimeout: option(
		'timeout',
		'TIME',
		'end assemble after this time, such as 90s, 10m or 1h30m; a bare number is seconds',
		{
			read: readDuration('Give a time such as 90s, 10m or 1h30m.', { bare: 's', least: 1, most: 2 ** 31 - 1 }),
		},
	),
});

const HINT = 'Write id=NAME,src=FILE or id=NAME,env=VARIABLE; id=NAME alone is the variable NAME.';

/** The `id=NAME[,src=FILE|env=VAR]` of each `--secret`, as `docker build` has it. Throws USAGE, also when two have one id. */
function readSecrets(texts: readonly string[]): readonly Secret[] {
	const secrets = texts.map(readSecret);
	const twice = secrets.find(({ id }, index) => secrets.findIndex((other) => other.id === id) !== index);
	if (twice === undefined) return secrets;
	throw new BuildError('USAGE', `--secret: the id ${twice.id} is given twice`, {
		hint: 'Give each secret a name of its own.',
	});
}

function readSecret(text: string): Secret {
	const fields = new Map(text.split(',').map((field) => splitField(field)));
	const id = fields.get('id') ?? '';
	const file = fields.get('src') ?? fields.get('source');
	const variable = fields.get('env');
	const known = [...fields.keys()].every((key) => ['id', 'src', 'source', 'env', 'type'].includes(key));
	if (!known || !/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/.test(id) || (file !== undefined && variable !== undefined)) {
		throw unreadable();
	}
	if (file === '' || variable === '') throw unreadable();
	return { id, from: file === undefined ? { variable: variable ?? id } : { file: absolutePath(file) } };
}

function splitField(field: string): readonly [string, string] {
	const at = field.indexOf('=');
	if (at === -1) throw unreadable();
	return [field.slice(0, at).trim(), field.slice(at + 1)];
}

/** Without the text, which may be the secret itself. */
function unreadable(): BuildError {
	return new BuildError('USAGE', '--secret does not say where a secret is', { hint: HINT });
}
