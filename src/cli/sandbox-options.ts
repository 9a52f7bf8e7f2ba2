import { BuildError } from '../errors.js';
import { absolutePath } from '../host-path.js';
import type { Secret } from '../pipeline/request.js';
import { parseAssignment } from '../s2i/environment.js';
import { parseInjections, parseVolume } from '../s2i/volumes.js';
import type { Limits } from '../sandbox/limits.js';
import { readAddHost, readCapabilities, readMemory, readNetwork, readSecurityOptions, readUlimit } from './limits.js';
import { each, list, option, section } from './options.js';
import { listed, NETWORKS, readDuration, readNumber } from './values.js';

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
