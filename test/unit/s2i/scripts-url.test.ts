import { describe, expect, test } from 'vitest';
import { parseImageScriptsUrl, parseScriptsUrl, scriptAt } from '../../../src/s2i/scripts.js';

const place = (url: string) => {
	const at = scriptAt(parseScriptsUrl(url), 'assemble');
	return at.kind === 'http' ? at.url : `${at.kind} ${at.path}`;
};

describe('a scripts URL', () => {
	test.each([
		['https://example.org/s2i', 'https://example.org/s2i/assemble'],
		['https://example.org/s2i///', 'https://example.org/s2i/assemble'],
		['http://example.org', 'http://example.org/assemble'],
		['HTTPS://ada:t%40ken@example.org:8443/a', 'https://ada:t%40ken@example.org:8443/a/assemble'],
		['https://example.org/raw?ref=main&token=x', 'https://example.org/raw/assemble?ref=main&token=x'],
		['https://example.org/raw?ref=a/b#top', 'https://example.org/raw/assemble?ref=a/b'],
		['file:///srv/s2i', 'file /srv/s2i/assemble'],
		['file:///srv/s2i/', 'file /srv/s2i/assemble'],
		['file:/srv/s2i', 'file /srv/s2i/assemble'],
		['file://scripts/s2i', 'file scripts/s2i/assemble'],
		['file://../s2i', 'file ../s2i/assemble'],
		['file:///srv/my%20scripts', 'file /srv/my scripts/assemble'],
		['file:///srv/100%', 'file /srv/100%/assemble'],
		['image:///usr/libexec/s2i', 'image /usr/libexec/s2i/assemble'],
		['image:///usr/libexec/s2i/', 'image /usr/libexec/s2i/assemble'],
		['image:////tmp//scripts/', 'image /tmp/scripts/assemble'],
		['image:///', 'image /assemble'],
	])('%s has assemble at %s', (url, address) => {
		expect(place(url)).toBe(address);
	});

	test.each([
		'/usr/libexec/s2i',
		'usr/libexec/s2i',
		'',
		'ftp://example.org/',
		'ssh://example.org/',
		'data:,x',
		'https://',
		'file://',
		'image://usr/libexec/s2i',
		'image:///usr/../etc',
		'image://',
		'file:///a\nb',
	])('%j is refused as usage', (url) => {
		expect(() => parseScriptsUrl(url)).toThrow(expect.objectContaining({ code: 'USAGE' }) as Error);
	});

	test('is shown without its secrets', () => {
		const url = 'https://ada:s3cret@example.org/s2i?sig=s3cret';
		expect(scriptAt(parseScriptsUrl(url), 'run').text).toBe('https://example.org/s2i/run');
		expect(() => parseScriptsUrl('ftp://ada:s3cret@example.org/?sig=s3cret')).not.toThrow(/s3cret/);
	});
});

describe('the scripts URL of an image', () => {
	test('may name its own files and the web', () => {
		expect(parseImageScriptsUrl('image:///tmp/scripts/')).toEqual({ kind: 'image', directory: '/tmp/scripts' });
		expect(parseImageScriptsUrl('https://example.org/a')).toEqual({ kind: 'http', url: 'https://example.org/a' });
	});

	test.each([
		['file:///etc', 'files of this machine'],
		['file://etc', 'files of this machine'],
		['http://169.254.169.254/latest', 'only this machine'],
		['http://metadata.google.internal/x', 'only this machine'],
		['ftp://example.org/', 'is not an http'],
		['/usr/libexec/s2i', 'is not an http'],
		['image:///a/../../etc', 'without ".."'],
	])('%s is refused: %s', (url, reason) => {
		const refused = expect.objectContaining({
			code: 'IMAGE_INVALID',
			message: expect.stringContaining(reason) as string,
			hint: expect.stringContaining('--scripts-url') as string,
		}) as Error;
		expect(() => parseImageScriptsUrl(url)).toThrow(refused);
	});
});
