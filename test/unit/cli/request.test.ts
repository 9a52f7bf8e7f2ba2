import { expect, test } from 'vitest';
import { readBuildRequest } from '../../../src/cli/build-request.js';
import { command as buildCommand } from '../../../src/cli/commands/build.js';
import type { BuildEvent } from '../../../src/pipeline/events.js';
import type { BuildRequest } from '../../../src/pipeline/request.js';
import { argumentsOf } from './io.js';

const HOST = { HOME: '/home/ada' };

interface Told {
	readonly env?: Readonly<Record<string, string>>;
	readonly program?: 's2oci' | 's2i' | 'sti';
	readonly events?: BuildEvent[];
}

async function request(line: string | readonly string[], told: Told = {}): Promise<BuildRequest> {
	const { program = 's2oci', events = [] } = told;
	const reading = { env: { ...HOST, ...told.env }, program, emit: (event: BuildEvent) => void events.push(event) };
	const args = await argumentsOf(buildCommand, typeof line === 'string' ? line.split(' ') : line, reading);
	return readBuildRequest(args, reading);
}

test('a build has the documented defaults', async () => {
	const { builder, host, ...rest } = await request('. reg.example/builder');
	const { platform, env, stdin, ...place } = host;
	expect(builder.type).toBe('registry');
	expect(platform.os).toBe('linux');
	expect(stdin()).toBe(process.stdin);
	expect(env).toEqual({ HOME: '/home/ada' });
	expect(place).toEqual({
		store: '/home/ada/.cache/s2oci',
		storeByDefault: true,
		isolation: 'auto',
		userns: 'auto',
		rootfs: 'auto',
		insecureRegistries: [],
		caBundle: undefined,
		dockerConfig: undefined,
	});
	expect(rest).toEqual({
		source: {
			location: '.',
			ref: undefined,
			contextDir: undefined,
			copy: false,
			keepSymlinks: false,
			ignoreSubmodules: false,
			exclude: undefined,
		},
		pullPolicy: 'check',
		scripts: { scriptsUrl: undefined, destination: undefined, assembleUser: undefined, allowedUids: undefined },
		variables: { environment: [], environmentFile: undefined },
		assemble: {
			buildEnvironment: [],
			secrets: [],
			injections: [],
			volumes: [],
			limits: {
				network: 'host',
				addHosts: [],
				capDrop: [],
				memory: undefined,
				cpus: undefined,
				pids: undefined,
				ulimits: [],
				seccomp: 'default',
			},
			assembleTimeout: undefined,
		},
		incremental: {
			enabled: false,
			previousImage: undefined,
			pullPolicy: 'check',
			removePrevious: false,
			cacheFrom: [],
			cacheTo: [],
		},
		runtime: undefined,
		image: { applicationName: undefined, tagName: undefined, description: undefined, labels: [] },
		output: { targets: [], callback: undefined, saveTempDir: false, timestamp: undefined, checkReproducible: false },
	});
});

test('every option of a build reaches its request', async () => {
	const line =
		'-cr main https://example.org/app.git reg.example/builder reg.example/app:1 --context-dir web -o oci:out -o reg.example/b ' +
		'-eA=1 --env B= -e C=x=y --store /s --platform linux/arm64 --isolation bwrap --insecure-registry Reg:5000 --ca-bundle /ca.pem ' +
		'--dockercfg-path /docker.json --keep-symlinks --ignore-submodules --exclude ^x -p never -E /env --build-env T=1 ' +
		'--secret id=npm,env=TOKEN --secret id=key,src=/key -s file:///scripts -d /opt --assemble-user 7 -u 1-,5 -n App ' +
		'--description text --label a.b=c=d -i /in:/etc/in;/two -v /data:/data:ro,z --cap-drop kill,CAP_SETUID --cap-drop ALL ' +
		'--security-opt no-new-privileges --security-opt seccomp=unconfined ' +
		'--network none --add-host six.example:2001:db8::7 --memory 512m --cpus 1.5 --pids-limit 9 --ulimit nofile=1:2 --timeout 1m30s ' +
		'--incremental --rm --previous-image oci:old --incremental-pull-policy always --cache-from oci:a --cache-to oci:b ' +
		'--runtime-image reg.example/run -a /opt/app:lib --runtime-pull-policy if-not-present --assemble-runtime-user 8 ' +
		'--callback-url https://ci.example/done --callback-format sti --save-temp-dir --userns single --rootfs copy ' +
		'--timestamp 2025-06-15T15:06:40Z --check-reproducible';
	expect(await request(line)).toMatchObject({
		host: {
			store: '/s',
			platform: { os: 'linux', architecture: 'arm64' },
			isolation: 'bwrap',
			userns: 'single',
			rootfs: 'copy',
			insecureRegistries: ['reg:5000'],
			caBundle: '/ca.pem',
			dockerConfig: '/docker.json',
		},
		source: {
			location: 'https://example.org/app.git',
			ref: 'main',
			contextDir: 'web',
			copy: true,
			keepSymlinks: true,
			ignoreSubmodules: true,
			exclude: '^x',
		},
		pullPolicy: 'never',
		scripts: {
			scriptsUrl: 'file:///scripts',
			destination: '/opt',
			assembleUser: '7',
			allowedUids: [
				{ first: 1, last: undefined },
				{ first: 5, last: 5 },
			],
		},
		variables: {
			environment: [
				{ name: 'A', value: '1' },
				{ name: 'B', value: '' },
				{ name: 'C', value: 'x=y' },
			],
			environmentFile: '/env',
		},
		assemble: {
			buildEnvironment: [{ name: 'T', value: '1' }],
			secrets: [
				{ id: 'npm', from: { variable: 'TOKEN' } },
				{ id: 'key', from: { file: '/key' } },
			],
			injections: [
				{ source: '/in', destination: '/etc/in' },
				{ source: '/two', destination: '' },
			],
			volumes: [{ source: '/data', destination: '/data', readOnly: true }],
			limits: {
				network: 'none',
				addHosts: [{ name: 'six.example', address: '2001:db8::7' }],
				capDrop: ['CAP_KILL', 'CAP_SETUID', 'ALL'],
				memory: 512 * 1024 ** 2,
				cpus: 1.5,
				pids: 9,
				ulimits: [{ name: 'nofile', soft: 1, hard: 2 }],
				seccomp: 'unconfined',
			},
			assembleTimeout: 90_000,
		},
		incremental: {
			enabled: true,
			previousImage: { type: 'oci', path: 'old' },
			pullPolicy: 'always',
			removePrevious: true,
			cacheFrom: [{ type: 'oci', path: 'a' }],
			cacheTo: [{ type: 'oci', path: 'b' }],
		},
		runtime: {
			image: { type: 'registry' },
			artifacts: [{ source: '/opt/app', destination: 'lib' }],
			pullPolicy: 'if-not-present',
			user: '8',
		},
		image: { applicationName: 'App', description: 'text', labels: [{ name: 'a.b', value: 'c=d' }] },
		output: {
			targets: [{ type: 'registry' }, { type: 'oci', path: 'out' }, { type: 'registry' }],
			callback: { url: 'https://ci.example/done', format: 'sti' },
			saveTempDir: true,
			timestamp: 1_750_000_000,
			checkReproducible: true,
		},
	});
});

test('an option with an empty value is the same as none, except --exclude', async () => {
	const options = [
		'--ref',
		'',
		'--context-dir=',
		'-n',
		'',
		'-u',
		'',
		'-s',
		'',
		'--memory',
		'',
		'--timeout',
		'',
		'-p',
		'',
	];
	expect(await request(['.', 'img', '', ...options])).toEqual(await request('. img'));
	expect((await request(['.', 'img', '--exclude', ''])).source.exclude).toBe('');
});

test.each([
	['--secret npm', '--secret'],
	['--secret id=../x', '--secret'],
	['--secret id=a,src=x,env=y', '--secret'],
	['--secret id=a --secret id=a,src=x', '--secret'],
	['--network container:x', '--network'],
	['--add-host name', '--add-host'],
	['--add-host name:300.1.1.1', '--add-host'],
	['--cap-drop KIL', '--cap-drop'],
	['--security-opt seccomp=/no/such/file', '--security-opt'],
	['--security-opt seccomp=/dev/null', '--security-opt'],
	['--security-opt no-new-privileges=false', '--security-opt'],
	['--security-opt systempaths=unconfined', '--security-opt'],
	['--security-opt seccomp', '--security-opt'],
	['--memory 12', '--memory'],
	['--memory lots', '--memory'],
	['--cpus 0', '--cpus'],
	['--pids-limit -1', '--pids-limit'],
	['--ulimit nofile=2:1', '--ulimit'],
	['--ulimit files=2', '--ulimit'],
	['--timeout soon', '--timeout'],
	['--timeout 0', '--timeout'],
	['--pull-policy sometimes', '--pull-policy'],
	['--scripts-url /dir', '--scripts-url'],
	['--image-scripts-url x --as-dockerfile /d', '--image-scripts-url'],
	['--callback-url ftp://x', '--callback-url'],
	['--callback-format xml', '--callback-format'],
	['--allowed-uids 5-1', '--allowed-uids'],
	['--label =x', '--label'],
	['--volume a', '--volume'],
	['--inject a;b$', '--inject'],
	['--runtime-artifact rel', '--runtime-artifact'],
	['--userns maybe', '--userns'],
])('%j is refused by name', async (options, name) => {
	const read = argumentsOf(buildCommand, ['.', 'img', ...options.split(' ')]);
	await expect(read).rejects.toMatchObject({
		code: 'USAGE',
		message: expect.stringContaining(name === '--label' ? 'label' : name) as string,
	});
});

test('what --secret does not understand is not printed: it may be the secret', async () => {
	await expect(request(['.', 'img', '--secret', 'NPM=t0ken'])).rejects.toThrow(/^(?!.*t0ken)/);
});

test.each(['bridge', 'default'])("--network %s is the host's, with a notice", async (network) => {
	const events: BuildEvent[] = [];
	expect((await request(`. img --network ${network}`, { events })).assemble.limits.network).toBe('host');
	expect(events).toEqual([expect.objectContaining({ type: 'warning', code: 'NETWORK' })]);
});

test.each([
	['FOO=bar', [['FOO', 'bar']], 0],
	['FOO=', [['FOO', '']], 0],
	[' FOO = bar ', [['FOO', 'bar']], 0],
	['FOO=a=b', [['FOO', 'a=b']], 0],
	['FOO=a,b', [['FOO', 'a,b']], 0],
	['FOO=bar,BAR=foo', [['FOO', 'bar,BAR=foo']], 1],
])('-e %j sets %j with %i notices (S2I EnvironmentList.Set)', async (text, expected, notices) => {
	const events: BuildEvent[] = [];
	const { variables } = await request(['.', 'img', '-e', text], { events });
	expect(variables.environment).toEqual(expected.map(([name, value]) => ({ name, value })));
	expect(events).toHaveLength(notices);
});

test.each(['FOO', '=', '=x', ''])('-e %j is refused (S2I EnvironmentList.Set)', async (text) => {
	await expect(request(['.', 'img', '-e', text])).rejects.toMatchObject({ code: 'USAGE' });
});

test('only sti has several variables in one -e, and its own callback', async () => {
	const line = '. img -e A=1,B=2 --callback-url http://x/';
	const sti = await request(line, { program: 'sti' });
	expect(sti.variables.environment.map(({ name }) => name)).toEqual(['A', 'B']);
	expect(sti.output.callback?.format).toBe('sti');
	const s2i = await request(line, { program: 's2i' });
	expect(s2i.variables.environment).toEqual([{ name: 'A', value: '1,B=2' }]);
	expect(s2i.output.callback?.format).toBe('s2i');
});

test('assemble is told the loglevel that was asked for, unless it is told already', async () => {
	expect((await request('. img')).assemble.buildEnvironment).toEqual([]);
	expect((await request('. img --loglevel 5')).assemble.buildEnvironment).toEqual([
		{ name: 'BUILD_LOGLEVEL', value: '5' },
	]);
	expect((await request('. img --loglevel 5 -e BUILD_LOGLEVEL=1')).assemble.buildEnvironment).toEqual([]);
});

const STORES: readonly (readonly [Readonly<Record<string, string>>, string])[] = [
	[{ S2OCI_STORE: '/a', XDG_CACHE_HOME: '/b' }, '/a'],
	[{ XDG_CACHE_HOME: '/b' }, '/b/s2oci'],
	[{ XDG_CACHE_HOME: 'relative' }, '/home/ada/.cache/s2oci'],
	[{ S2OCI_STORE: '', XDG_CACHE_HOME: '' }, '/home/ada/.cache/s2oci'],
	...['/', '//', '/proc/1', '/proc', '/sys/x', '/dev', '/x/../proc/self', '.'].map(
		(HOME) => [{ HOME, TMPDIR: '/var/tmp' }, `/var/tmp/s2oci-${process.geteuid?.() ?? 0}`] as const,
	),
	[{ HOME: '/', TMPDIR: '' }, `/tmp/s2oci-${process.geteuid?.() ?? 0}`],
	[{ HOME: '/processes' }, '/processes/.cache/s2oci'],
];
test.each(STORES)('with %j the store is %s', async (env, store) => {
	expect((await request('. img', { env })).host.store).toBe(store);
});

test('the CA bundle of the environment is the default', async () => {
	expect((await request('. img', { env: { NODE_EXTRA_CA_CERTS: '/n.pem' } })).host.caBundle).toBe('/n.pem');
	expect(
		(await request('. img', { env: { NODE_EXTRA_CA_CERTS: '/n.pem', SSL_CERT_FILE: '/s.pem' } })).host.caBundle,
	).toBe('/s.pem');
});
