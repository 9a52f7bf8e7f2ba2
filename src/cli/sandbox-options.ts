import { listed, NETWORKS } from './choices.js';
import { type Arguments, section, textList, textOption } from './options.js';

/** Variables and files of assemble, as typed. */
export interface InputArguments {
	readonly buildEnvironment: readonly string[];
	readonly secrets: readonly string[];
	readonly injections: readonly string[];
	readonly volumes: readonly string[];
}

/** The options of {@link InputArguments}: none of it gets into the image. */
export const inputOptions: Arguments<InputArguments> = section<InputArguments>(
	'Only for assemble, never in the image',
	{
		buildEnvironment: textList('build-env', 'NAME=VALUE', 'environment variable'),
		secrets: textList('secret', 'id=NAME[,src=FILE|env=VAR]', 'file /run/secrets/NAME, from a file or a variable'),
		injections: textList('inject', 'SRC[:DST]', 'file or directory to read, below WORKDIR when DST is relative', {
			short: 'i',
		}),
		volumes: textList('volume', 'SRC:DST[:ro]', 'directory or file of the host to use in place', { short: 'v' }),
	},
);

/** What scripts may use, as typed. */
export interface SandboxArguments {
	readonly network: string | undefined;
	readonly addHosts: readonly string[];
	readonly capDrop: readonly string[];
	readonly securityOptions: readonly string[];
	readonly memory: string | undefined;
	readonly cpus: string | undefined;
	readonly pidsLimit: string | undefined;
	readonly ulimits: readonly string[];
	readonly timeout: string | undefined;
}

/** The options of {@link SandboxArguments}. */
export const sandboxOptions: Arguments<SandboxArguments> = section<SandboxArguments>('Sandbox', {
	network: textOption('network', 'KIND', `${listed(NETWORKS)}; default host`, { offer: NETWORKS }),
	addHosts: textList('add-host', 'NAME:IP', 'line of /etc/hosts'),
	capDrop: textList('cap-drop', 'CAP[,CAP]', 'capabilities to take away, or all'),
	securityOptions: textList('security-opt', 'NAME=VALUE', 'seccomp=unconfined, or seccomp=FILE with a profile'),
	memory: textOption('memory', 'BYTES', 'memory, such as 512m or 2g'),
	cpus: textOption('cpus', 'NUMBER', 'processors, such as 1.5'),
	pidsLimit: textOption('pids-limit', 'NUMBER', 'processes and threads'),
	ulimits: textList('ulimit', 'NAME=SOFT[:HARD]', 'resource limit, such as nofile=1024:4096'),
	timeout: textOption('timeout', 'TIME', 'end assemble after this time, such as 90s or 10m'),
});
