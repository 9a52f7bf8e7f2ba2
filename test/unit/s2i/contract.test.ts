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
		user: '1001',
		workingDir: '/opt/app-root/src',
		env: { PATH: '/opt/app-root/bin:/usr/bin', STI_SCRIPTS_URL: 'image:///old', HOME: '/opt/app-root/src' },
		volumes: ['/data'],
		deprecations: [],
	});
});

test('an image without any setting has the defaults of Docker and S2I', () => {
	expect(readContract({ Labels: null, Volumes: null })).toEqual({
		scriptsUrl: undefined,
		scriptsDir: undefined,
		destination: '/tmp',
		assembleUser: '',
		user: '',
		workingDir: '/',
		env: { PATH: DEFAULT_PATH },
		volumes: [],
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
	{ WorkingDir: 'src' },
	{ Volumes: { '../x': {} } },
])('%j is refused', (config) => {
	expect(() => readContract(config)).toThrow(expect.objectContaining({ code: 'IMAGE_INVALID' }) as Error);
});
