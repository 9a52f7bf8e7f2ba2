import { expect, test } from 'vitest';
import type { ContainerConfig } from '../../../src/oci/image.js';
import { DEFAULT_PATH, readContract } from '../../../src/s2i/contract.js';

const SCRIPTS_URL = 'io.openshift.s2i.scripts-url';
const DESTINATION = 'io.openshift.s2i.destination';

test('the contract of a sclorg builder image is read from its labels', () => {
	const contract = readContract({
		User: '1001',
		WorkingDir: '/opt/app-root/src',
		Env: ['PATH=/opt/app-root/bin:/usr/bin', 'STI_SCRIPTS_URL=image:///old', 'HOME=/opt/app-root/src'],
		Labels: { [SCRIPTS_URL]: 'image:///usr/libexec/s2i', 'io.s2i.scripts-url': 'image:///older' },
		Volumes: { '/data/': {} },
	});
	expect(contract).toEqual({
		scriptsUrl: 'image:///usr/libexec/s2i',
		scriptsDir: '/usr/libexec/s2i',
		destination: '/tmp',
		assembleUser: '1001',
		assembleUserFrom: 'image',
		assembleRuntimeUser: '1001',
		assembleRuntimeUserFrom: 'image',
		user: '1001',
		workingDir: '/opt/app-root/src',
		env: { PATH: '/opt/app-root/bin:/usr/bin', STI_SCRIPTS_URL: 'image:///old', HOME: '/opt/app-root/src' },
		volumes: ['/data'],
		assembleInputFiles: [],
		onBuild: [],
		deprecations: [],
	});
});

test.each([
	['variables', Array.from({ length: 2001 }, (_, index) => `N${index}=1`)],
	['bytes, more than 1048576', Array.from({ length: 20 }, (_, index) => `N${index}=${'x'.repeat(60_000)}`)],
	['bytes in "LARGE"', [`LARGE=${'x'.repeat(131_072)}`]],
])('an environment that no process can have is refused by its %s', (what, Env) => {
	expect(() => readContract({ Env })).toThrow(
		expect.objectContaining({ code: 'IMAGE_UNSUPPORTED', message: expect.stringContaining(what) as string }) as Error,
	);
	expect(Object.keys(readContract({ Env: Env.slice(0, 17).map((each) => each.slice(0, 60_000)) }).env)).not.toEqual([]);
});

test.each([
	['many', Object.fromEntries(Array.from({ length: 3000 }, (_, index) => [`/srv/data/${index}`, {}]))],
	['deep', { [`/${'a/'.repeat(300)}`]: {} }],
])('volumes that are too %s to be looked for are refused', (_, Volumes) => {
	expect(() => readContract({ Volumes })).toThrow(expect.objectContaining({ code: 'IMAGE_UNSUPPORTED' }) as Error);
	const few = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`/srv/data/${index}`, {}]));
	expect(readContract({ Volumes: few }).volumes).toHaveLength(1000);
});

test('an image without any setting has the defaults of Docker and S2I', () => {
	expect(readContract({ Labels: null, Volumes: null })).toEqual({
		scriptsUrl: undefined,
		scriptsDir: undefined,
		destination: '/tmp',
		assembleUser: '',
		assembleUserFrom: 'image',
		assembleRuntimeUser: '',
		assembleRuntimeUserFrom: 'image',
		user: '',
		workingDir: '/',
		env: { PATH: DEFAULT_PATH },
		volumes: [],
		assembleInputFiles: [],
		onBuild: [],
		deprecations: [],
	});
});

test.each<[ContainerConfig, string, RegExp[]]>([
	[
		{ Labels: { 'io.s2i.scripts-url': 'image:///b/', [SCRIPTS_URL]: '' } },
		'/b',
		[/deprecated label io\.s2i\.scripts-url/],
	],
	[{ Env: ['STI_SCRIPTS_URL=image:///c/./d//'] }, '/c/d', [/deprecated variable STI_SCRIPTS_URL/]],
])('%j has its scripts in %s and says what is deprecated', (config, scriptsDir, deprecations) => {
	const contract = readContract(config);
	expect(contract.scriptsDir).toBe(scriptsDir);
	expect(contract.deprecations).toEqual(deprecations.map((pattern) => expect.stringMatching(pattern) as string));
});

test.each<[ContainerConfig, string]>([
	[{ Labels: { [DESTINATION]: '/opt/s2i/', 'io.s2i.destination': '/x' } }, '/opt/s2i'],
	[{ Labels: { 'io.s2i.destination': '/x' }, Env: ['STI_LOCATION=/y'] }, '/x'],
	[{ Env: ['STI_LOCATION=/y'] }, '/y'],
])('the destination of %j is %s', (config, destination) => {
	expect(readContract(config).destination).toBe(destination);
});

test('the assemble user is the label, else the image USER', () => {
	const labels = { 'io.openshift.s2i.assemble-user': '0' };
	expect(readContract({ User: '1001', Labels: labels })).toMatchObject({ assembleUser: '0', user: '1001' });
	expect(readContract({ User: '1001' })).toMatchObject({ assembleUser: '1001', user: '1001' });
});

test('a scripts URL of another scheme is kept, and gives no directory', () => {
	const config = { Labels: { [SCRIPTS_URL]: 'https://example.org/scripts' } };
	expect(readContract(config)).toMatchObject({ scriptsUrl: 'https://example.org/scripts', scriptsDir: undefined });
});

test.each<ContainerConfig>([
	{ Labels: { [SCRIPTS_URL]: 'image://usr/libexec' } },
	{ Labels: { [SCRIPTS_URL]: 'image:///usr/../etc' } },
	{ Labels: { [DESTINATION]: 'tmp' } },
	{ Labels: { [DESTINATION]: '/tmp/../../x' } },
	{ Labels: { [DESTINATION]: '/' } },
	{ Labels: { [DESTINATION]: '/proc/self/fd/7' } },
	{ Labels: { [DESTINATION]: '/tmp/a\nb' } },
	{ WorkingDir: '/srv\n' },
])('%j is refused', (config) => {
	expect(() => readContract(config)).toThrow(expect.objectContaining({ code: 'IMAGE_INVALID' }) as Error);
});

test.each([
	['src', '/src'],
	['./', '/'],
	['', '/'],
	['/srv/', '/srv'],
	['/srv/../app', '/app'],
	['../..', '/'],
	['~/x', '/~/x'],
])('the WORKDIR %j is %s', (written, workingDir) => {
	expect(readContract({ WorkingDir: written }).workingDir).toBe(workingDir);
});

test('volumes are below the root, however they are written, and never the root', () => {
	const names = [
		'data',
		'[/path3,/path4]',
		'~/.m2/repository',
		'./x',
		'',
		'/',
		'..',
		'../../y',
		'/data/',
		'a b',
		'/z/../w',
	];
	const { volumes } = readContract({ Volumes: Object.fromEntries(names.map((name) => [name, {}])) });
	expect(volumes).toEqual(['/data', '/[/path3,/path4]', '/~/.m2/repository', '/x', '/y', '/a b', '/w']);
});

test('variables without a name are none', () => {
	expect(readContract({ Env: ['', '=x', 'A', 'B=', 'C=d=e'] }).env).toEqual({
		PATH: DEFAULT_PATH,
		A: '',
		B: '',
		C: 'd=e',
	});
});

test('the command line wins over every label', () => {
	const config = {
		User: '1001',
		Labels: {
			[DESTINATION]: '/opt/s2i',
			'io.openshift.s2i.assemble-user': '0',
			'io.openshift.s2i.assemble-runtime-user': 'root',
		},
	};
	const overrides = { destination: '/var/s2i/', assembleUser: '5', assembleRuntimeUser: '6:0' };
	expect(readContract(config, overrides)).toMatchObject({
		destination: '/var/s2i',
		assembleUser: '5',
		assembleUserFrom: 'option',
		assembleRuntimeUser: '6:0',
		assembleRuntimeUserFrom: 'option',
		user: '1001',
	});
	expect(readContract(config, { destination: '', assembleUser: '', assembleRuntimeUser: undefined })).toMatchObject({
		destination: '/opt/s2i',
		assembleUser: '0',
		assembleUserFrom: 'label',
		assembleRuntimeUser: 'root',
		assembleRuntimeUserFrom: 'label',
	});
});

test.each(['tmp', '/', '/proc/x', '/a/../b', '/a\nb'])('--destination %j is a usage error', (destination) => {
	expect(() => readContract({}, { destination })).toThrow(
		expect.objectContaining({ code: 'USAGE', message: expect.stringContaining('--destination') as string }) as Error,
	);
});

test('a bad destination of the image does not matter when the command line has one', () => {
	expect(readContract({ Labels: { [DESTINATION]: 'bad' } }, { destination: '/ok' }).destination).toBe('/ok');
});

test('a runtime image says which files it wants, and what ONBUILD would do', () => {
	const label = '/opt/app:lib; /usr/bin/tool ;;';
	const config = { Labels: { 'io.openshift.s2i.assemble-input-files': label }, OnBuild: ['USER 0'] };
	expect(readContract(config)).toMatchObject({
		assembleInputFiles: ['/opt/app:lib', '/usr/bin/tool'],
		onBuild: ['USER 0'],
	});
});
