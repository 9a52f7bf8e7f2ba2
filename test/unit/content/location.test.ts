import { describe, expect, test } from 'vitest';
import { formatImageLocation, imageNameOf, parseImageLocation } from '../../../src/content/location.js';

describe('parseImageLocation', () => {
	test.each([
		['node', 'docker.io/library/node:latest'],
		['docker://quay.io/a/b', 'quay.io/a/b:latest'],
		['oci:dir', 'oci:dir'],
		['oci:./some/dir:v1', 'oci:./some/dir:v1'],
		['oci:/abs:example.com/app:v1', 'oci:/abs:example.com/app:v1'],
		['oci-archive:app.tar:latest', 'oci-archive:app.tar:latest'],
		['docker-archive:app.tar', 'docker-archive:app.tar'],
		['docker-archive:app.tar:@1', 'docker-archive:app.tar:@1'],
		['docker-archive:app.tar:app', 'docker-archive:app.tar:docker.io/library/app:latest'],
		['docker-archive:app.tar:localhost:5000/app:1', 'docker-archive:app.tar:localhost:5000/app:1'],
		['podman:app', 'podman:app'],
		['podman:reg.example:5000/team/app:1', 'podman:reg.example:5000/team/app:1'],
		['docker-daemon:app:1', 'docker-daemon:app:1'],
		[`docker-daemon:sha256:${'a'.repeat(64)}`, `docker-daemon:sha256:${'a'.repeat(64)}`],
		['podman:5000/app', 'podman:5000/app:latest'],
	])('reads %s as %s', (text, formatted) => {
		const location = parseImageLocation(text);
		expect(formatImageLocation(location)).toBe(formatted);
		expect({ ...location, bare: undefined }).toEqual(parseImageLocation(formatted));
	});

	test.each([
		['node', 'node'],
		['docker://ada/app:1', 'ada/app:1'],
		['docker.io/library/node', undefined],
		['localhost/app', undefined],
		['registry.example:5000/app', undefined],
	])('%s is bare as %s', (text, bare) => {
		expect(parseImageLocation(text)).toMatchObject({ type: 'registry', ...(bare !== undefined && { bare }) });
		expect('bare' in parseImageLocation(text)).toBe(bare !== undefined);
	});

	test.each([
		'oci:',
		'oci::v1',
		'oci:dir:',
		'oci:dir:a b',
		'oci-archive:',
		'docker-archive:x:Bad',
		'docker-archive:x:',
		'docker-archive:x:@',
		'docker-archive:x:@01',
		'http://x/y',
		'podman:',
		'podman:--help',
		'podman:a b',
		'docker-daemon:App',
		'containers-storage:[vfs@/tmp/x]app',
	])('refuses %j', (text) => {
		expect(() => parseImageLocation(text)).toThrow(expect.objectContaining({ code: 'REFERENCE_INVALID' }) as Error);
	});

	test('containers-storage is another spelling of podman', () => {
		expect(parseImageLocation('containers-storage:app')).toEqual({ type: 'podman', name: 'app' });
		expect(parseImageLocation('podman:5000/app').type).toBe('registry');
	});

	test.each([
		['podman:app', 'docker.io/library/app:latest'],
		['docker-daemon:reg.example/app:1', 'reg.example/app:1'],
		['oci:dir:1', 'oci:dir:1'],
	])('labels call %s %s', (text, name) => {
		expect(imageNameOf(parseImageLocation(text))).toBe(name);
	});

	test('a Docker archive names images by tag only', () => {
		const text = `docker-archive:x.tar:app@sha256:${'a'.repeat(64)}`;
		expect(() => parseImageLocation(text)).toThrow(/by tag/);
	});
});
