/** One option of S2I; `value` is one that it takes, undefined for a flag. */
export interface S2iOption {
	readonly long: string;
	readonly short?: string;
	readonly value?: string;
}

/** Of every command, before or behind its name (pkg/cmd/cli/cli.go). */
export const GLOBAL: readonly S2iOption[] = [
	{ long: 'url', short: 'U', value: 'tcp://127.0.0.1:9' },
	{ long: 'cert', value: '/x/cert.pem' },
	{ long: 'key', value: '/x/key.pem' },
	{ long: 'ca', value: '/x/ca.pem' },
	{ long: 'tls' },
	{ long: 'tlsverify' },
	{ long: 'loglevel', value: '3' },
];

/** Of build, rebuild and usage (pkg/cmd/cli/util/util.go). */
export const SHARED: readonly S2iOption[] = [
	{ long: 'quiet', short: 'q' },
	{ long: 'incremental' },
	{ long: 'rm' },
	{ long: 'callback-url', value: 'http://127.0.0.1:9/' },
	{ long: 'pull-policy', short: 'p', value: 'never' },
	{ long: 'incremental-pull-policy', value: 'if-not-present' },
	{ long: 'runtime-pull-policy', value: 'always' },
	{ long: 'save-temp-dir' },
	{ long: 'dockercfg-path', value: '/x' },
	{ long: 'destination', short: 'd', value: '/x' },
];

const GENERATE: readonly S2iOption[] = [
	{ long: 'env', short: 'e', value: 'A=1' },
	{ long: 'assemble-user', value: '1' },
	{ long: 'assemble-runtime-user', value: '1' },
];

/** Of build alone (pkg/cmd/cli/cmd/build.go). */
export const BUILD: readonly S2iOption[] = [
	...GENERATE,
	{ long: 'run' },
	{ long: 'ignore-submodules' },
	{ long: 'environment-file', short: 'E', value: '/x' },
	{ long: 'ref', short: 'r', value: 'main' },
	{ long: 'context-dir', value: 'x' },
	{ long: 'copy', short: 'c' },
	{ long: 'keep-symlinks' },
	{ long: 'exclude', value: 'x' },
	{ long: 'scripts-url', short: 's', value: 'image:///x' },
	{ long: 'scripts', value: 'image:///x' },
	{ long: 'image-scripts-url', value: 'image:///x' },
	{ long: 'allowed-uids', short: 'u', value: '1-' },
	{ long: 'application-name', short: 'n', value: 'x' },
	{ long: 'description', value: 'x' },
	{ long: 'inject', short: 'i', value: '/x:/y' },
	{ long: 'volume', short: 'v', value: '/x:/y' },
	{ long: 'cap-drop', value: 'all' },
	{ long: 'network', value: 'host' },
	{ long: 'add-host', value: 'a:127.0.0.1' },
	{ long: 'runtime-image', value: 'x' },
	{ long: 'runtime-artifact', short: 'a', value: '/x' },
	{ long: 'as-dockerfile', value: '/x' },
	{ long: 'use-config' },
	{ long: 'location', short: 'l', value: '/x' },
];

/** Every command of S2I with arguments that it takes, and its options but {@link GLOBAL}. */
export const COMMANDS: readonly {
	readonly name: string;
	readonly args: readonly string[];
	readonly options: readonly S2iOption[];
}[] = [
	{ name: 'build', args: ['.', 'img', 'tag'], options: [...SHARED, ...BUILD] },
	{ name: 'rebuild', args: ['img', 'tag'], options: SHARED },
	{ name: 'usage', args: ['img'], options: [...SHARED, { long: 'location', short: 'l', value: '/x' }] },
	{ name: 'generate', args: ['img', 'Dockerfile'], options: [{ long: 'quiet', short: 'q' }, ...GENERATE] },
	{ name: 'create', args: ['img', 'x'], options: [] },
	{ name: 'completion', args: ['bash'], options: [] },
];
