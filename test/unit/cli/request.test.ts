import { expect, test } from 'vitest';
import type { BuildRequest } from '../../../src/build/request.js';
import { buildCommand } from '../../../src/cli/build-command.js';
import { formatBytes, formatDuration } from '../../../src/cli/format.js';
import { parseCommand } from '../../../src/cli/parse-command.js';
import { readBuildRequest, readRunRequest } from '../../../src/cli/request.js';
import { runCommand } from '../../../src/cli/run-command.js';

async function request(line: string, env: Readonly<Record<string, string>> = {}): Promise<BuildRequest> {
	const parsed = await parseCommand('build', buildCommand, line.split(' '));
	if (parsed.type === 'help') throw new Error('help');
	return readBuildRequest(parsed.value, { HOME: '/home/ada', ...env });
}

test('a build has the documented defaults', async () => {
	const { builder, platform, env, ...rest } = await request('. reg.example/builder');
	expect(builder.type).toBe('registry');
	expect(platform.os).toBe('linux');
	expect(env).toEqual({ HOME: '/home/ada' });
	expect(rest).toEqual({
		store: '/home/ada/.cache/s2oci',
		isolation: 'auto',
		insecureRegistries: [],
		caBundle: undefined,
		source: '.',
		ref: undefined,
		contextDir: undefined,
		copy: false,
		targets: [],
		environment: [],
	});
});

test('every option of a build reaches its request', async () => {
	const line =
		'-cr main https://example.org/app.git reg.example/builder reg.example/app:1 --context-dir web -o oci:out -o reg.example/b ' +
		'-eA=1 --env B= -e C=x=y --store /s --platform linux/arm64 --isolation bwrap --insecure-registry Reg:5000 --ca-bundle /ca.pem';
	expect(await request(line)).toMatchObject({
		source: 'https://example.org/app.git',
		ref: 'main',
		contextDir: 'web',
		copy: true,
		targets: [{ type: 'registry' }, { type: 'oci', path: 'out' }, { type: 'registry' }],
		environment: [
			{ name: 'A', value: '1' },
			{ name: 'B', value: '' },
			{ name: 'C', value: 'x=y' },
		],
		store: '/s',
		platform: { os: 'linux', architecture: 'arm64' },
		isolation: 'bwrap',
		insecureRegistries: ['reg:5000'],
		caBundle: '/ca.pem',
	});
});

test.each([
	[{ S2OCI_STORE: '/a', XDG_CACHE_HOME: '/b' }, '/a'],
	[{ XDG_CACHE_HOME: '/b' }, '/b/s2oci'],
	[{ XDG_CACHE_HOME: 'relative' }, '/home/ada/.cache/s2oci'],
	[{ S2OCI_STORE: '', XDG_CACHE_HOME: '' }, '/home/ada/.cache/s2oci'],
])('with %j the store is %s', async (env, store) => {
	expect((await request('. img', env)).store).toBe(store);
});

test('the CA bundle of the environment is the default', async () => {
	expect((await request('. img', { NODE_EXTRA_CA_CERTS: '/n.pem' })).caBundle).toBe('/n.pem');
	expect((await request('. img', { NODE_EXTRA_CA_CERTS: '/n.pem', SSL_CERT_FILE: '/s.pem' })).caBundle).toBe('/s.pem');
});

test('what stands behind -- replaces the command of s2oci run', async () => {
	const parsed = await parseCommand('run', runCommand, ['-eA=1', 'img', '--', 'node', '--version']);
	if (parsed.type === 'help') throw new Error('help');
	expect(readRunRequest(parsed.value, parsed.rest ?? [], {})).toMatchObject({
		args: ['node', '--version'],
		environment: [{ name: 'A', value: '1' }],
	});
});

test.each([
	[0, '0 B'],
	[999, '999 B'],
	[1000, '1.0 kB'],
	[99_960, '100 kB'],
	[341_000_000, '341 MB'],
	[999_600_000, '1.0 GB'],
	[5e15, '5000 TB'],
])('%d bytes are %s', (bytes, text) => {
	expect(formatBytes(bytes)).toBe(text);
});

test.each([
	[0, '0.0 s'],
	[12_340, '12.3 s'],
	[59_990, '1 min 00 s'],
	[125_000, '2 min 05 s'],
])('%d ms are %s', (ms, text) => {
	expect(formatDuration(ms)).toBe(text);
});
