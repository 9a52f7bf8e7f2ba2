import { expect, test } from 'vitest';
import { openImageNames } from '../../../src/cli/image-names.js';

const names = (program: 's2oci' | 's2i' | 'sti', env: Readonly<Record<string, string>> = {}) =>
	openImageNames({ program, env: { PATH: '/nonexistent', ...env } });

test.each(['app', 'app:1', 'team/app', 'library/app:1.2'])('s2oci refuses the tag %s', async (name) => {
	await expect(names('s2oci').target(name)).rejects.toMatchObject({ code: 'USAGE' });
});

test.each([
	...['docker.io/ada/app', 'docker.io/app', 'localhost/app', 'localhost:5000/app', 'reg.example/app', 'docker://app'],
	...[
		'podman:app',
		'docker-daemon:app',
		'oci:app',
		'oci-archive:app.tar',
		'docker-archive:app.tar:app:1',
		'Not a name',
	],
])('s2oci takes %s as it is', async (name) => {
	expect(await names('s2oci').target(name)).toBe(name);
});

test('builders of s2oci are where they always were', async () => {
	expect(await names('s2oci').source('nodejs')).toBe('nodejs');
	expect(names('s2oci').notices()).toEqual([]);
});

test.each(['s2i', 'sti'] as const)('%s refuses a tag without a registry when it may use no engine', async (program) => {
	const opened = names(program, { S2OCI_ENGINE: 'none' });
	expect(await opened.source('nodejs')).toBe('nodejs');
	expect(await opened.target('reg.example/app')).toBe('reg.example/app');
	await expect(opened.target('app')).rejects.toThrow(/no local engine \(S2OCI_ENGINE is none\)/);
	expect(opened.notices()).toEqual([]);
});

test('an engine that does not exist is a mistake', async () => {
	await expect(names('s2i', { S2OCI_ENGINE: 'rkt' }).target('app')).rejects.toMatchObject({ code: 'USAGE' });
});
