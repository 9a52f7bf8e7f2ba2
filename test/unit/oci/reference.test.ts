import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatReference, parseReference } from '../../../src/oci/reference.js';

const hex = 'a'.repeat(64);

describe('parseReference', () => {
	test.each([
		['node', 'docker.io/library/node:latest'],
		['node:22', 'docker.io/library/node:22'],
		['sclorg/nodejs', 'docker.io/sclorg/nodejs:latest'],
		['index.docker.io/node', 'docker.io/library/node:latest'],
		['registry-1.docker.io/library/node', 'docker.io/library/node:latest'],
		['localhost/x', 'localhost/x:latest'],
		['localhost:5000/x', 'localhost:5000/x:latest'],
		['127.0.0.1:5000/a/b:1.2', '127.0.0.1:5000/a/b:1.2'],
		['[::1]:5000/a', '[::1]:5000/a:latest'],
		['quay.io/sclorg/nodejs-22-c9s', 'quay.io/sclorg/nodejs-22-c9s:latest'],
		[`ghcr.io/a/b@sha256:${hex}`, `ghcr.io/a/b@sha256:${hex}`],
		[`ghcr.io/a/b:v1@sha256:${hex}`, `ghcr.io/a/b:v1@sha256:${hex}`],
		['host:443/a__b/c-d.e', 'host:443/a__b/c-d.e:latest'],
		['Registry.Example/app', 'Registry.Example/app:latest'],
	])('reads %s as %s', (text, full) => {
		expect(formatReference(parseReference(text))).toBe(full);
	});

	test.each([
		'',
		'/',
		'a/',
		'A',
		'a//b',
		'a:',
		'a:b:c',
		'a@',
		'a@sha256:abc',
		`a@sha256:${'A'.repeat(64)}`,
		`a@sha1:${'a'.repeat(40)}`,
		'a@sha256:../../etc/passwd',
		'host.example/../a',
		'a b',
		'a\nb',
		'user:pw@host/a',
		'host:99999/a',
		'host:0/a',
		'-host.example/a',
		'a:-tag',
		`a:${'t'.repeat(129)}`,
		`host.example/${'a'.repeat(260)}`,
		'a_-b',
		'x'.repeat(2000),
	])('refuses %j with a hint', (text) => {
		expect(() => parseReference(text)).toThrow(
			expect.objectContaining({
				code: 'REFERENCE_INVALID',
				hint: expect.stringContaining('repository') as string,
			}) as Error,
		);
	});

	test.each([
		['./image', /oci:\.\/image$/],
		['../a', /oci:\.\.\/a$/],
		['/a', /oci:\/a$/],
		['https://host/a', /Leave out https:\/\//],
		['http://host:5000/a', /--insecure-registry HOST/],
	])('says of %j what was meant', (text, hint) => {
		expect(() => parseReference(text)).toThrow(
			expect.objectContaining({ code: 'REFERENCE_INVALID', hint: expect.stringMatching(hint) as string }) as Error,
		);
	});

	test('what is formatted is read back as the same', () => {
		const component = fc.stringMatching(/^[a-z0-9]{1,6}(?:(?:\.|__?|-{1,2})[a-z0-9]{1,4}){0,2}$/);
		const tag = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/);
		const host = fc.stringMatching(/^[a-z][a-z0-9]{0,8}\.[a-z]{2,5}(?::[1-9][0-9]{1,3})?$/);
		fc.assert(
			fc.property(host, fc.array(component, { minLength: 1, maxLength: 4 }), tag, (registry, path, name) => {
				const reference = { repository: { registry, path: path.join('/') }, tag: name };
				expect(parseReference(formatReference(reference))).toEqual(reference);
			}),
		);
	});
});
