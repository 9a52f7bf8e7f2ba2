import { resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseArtifacts, parseInjections, parseVolume } from '../../../src/s2i/volumes.js';

const atWork = (path: string) => resolve('/work', path);

describe('--inject, as S2I reads a VolumeList', () => {
	test.each([
		['/test', [['/test', '']]],
		['/test:', [['/test', '']]],
		['/test:/test', [['/test', '/test']]],
		['/test/foo:/etc/ssl', [['/test/foo', '/etc/ssl']]],
		['/test/foo:/etc/ssl/', [['/test/foo', '/etc/ssl']]],
		['/test:test', [['/test', 'test']]],
		['/test:./a/../b', [['/test', 'b']]],
		['/with space:/x', [['/with space', '/x']]],
		['/a:b:/x', [['/a:b', '/x']]],
		['"/test":"/foo"', [['/test', '/foo']]],
		[`'/test':"/foo"`, [['/test', '/foo']]],
		[':/foo', [['/work', '/foo']]],
		[':', [['/work', '']]],
		[
			'dir:test;dir:test2',
			[
				['/work/dir', 'test'],
				['/work/dir', 'test2'],
			],
		],
		['../dir', [['/dir', '']]],
	])('%j', (text, expected) => {
		const found = parseInjections(text, atWork).map(({ source, destination }) => [source, destination]);
		expect(found).toEqual(expected);
	});

	test.each(Array.from(`*?"<>|%#$!+{}&[],'\``))('refuses %s in a path', (character) => {
		for (const text of [`/a${character}b:/x`, `/a:/x${character}y`]) {
			expect(() => parseInjections(text, atWork)).toThrow(/--inject: invalid characters in the path/);
		}
	});

	test.each(['/a:/', '/a:/proc', '/a:/sys/fs', '/a:/dev/', '/a:/x/../proc', '/a:..', '/a:../x', '/a:b/../../x'])(
		'%j has a destination outside of what can be injected',
		(text) => {
			expect(() => parseInjections(text, atWork)).toThrow(expect.objectContaining({ code: 'USAGE' }) as Error);
		},
	);

	test('gives absolute sources and clean destinations, or USAGE, for any text', () => {
		fc.assert(
			fc.property(fc.string({ unit: fc.constantFrom('/', '.', ':', ';', 'a', '"', '*', '\0') }), (text) => {
				try {
					for (const { source, destination } of parseInjections(text, atWork)) {
						expect(source).toMatch(/^\//);
						expect(destination).not.toMatch(/^\.\.(?:\/|$)|\/\.\.?(?:\/|$)|\0|.\/$/);
					}
				} catch (error) {
					expect(error).toMatchObject({ code: 'USAGE' });
				}
			}),
		);
	});
});

describe('--runtime-artifact', () => {
	test.each([
		['/opt/app', [['/opt/app', '']]],
		['/opt/app:.', [['/opt/app', '']]],
		[
			'/opt/app/:lib;/etc/x:',
			[
				['/opt/app', 'lib'],
				['/etc/x', ''],
			],
		],
	])('%j', (text, expected) => {
		expect(parseArtifacts(text).map(({ source, destination }) => [source, destination])).toEqual(expected);
	});

	test.each(['opt/app', 'opt:lib', '/opt:/lib', '/opt:..', '/opt:../lib', ':lib'])('%j is refused', (text) => {
		expect(() => parseArtifacts(text)).toThrow(/--runtime-artifact: /);
	});
});

describe('--volume', () => {
	test.each([
		['/a:/b', { source: '/a', destination: '/b', readOnly: false }],
		['/a:/b/:z', { source: '/a', destination: '/b', readOnly: false }],
		['/a:/b:ro', { source: '/a', destination: '/b', readOnly: true }],
		['/a:/b:rw,Z', { source: '/a', destination: '/b', readOnly: false }],
		['a,b:/b:Z,ro', { source: '/work/a,b', destination: '/b', readOnly: true }],
	])('%j', (text, expected) => {
		expect(parseVolume(text, atWork)).toEqual(expected);
	});

	test.each(['/a', '/a:', ':/b', '/a:b', '/a:./b', '/a:/b:shared', '/a:/b:ro:x', '/a:/proc/1', '/a:/', '/a\0:/b'])(
		'%j is refused',
		(text) => {
			expect(() => parseVolume(text, atWork)).toThrow(/--volume: /);
		},
	);
});
