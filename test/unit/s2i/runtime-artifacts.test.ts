import { describe, expect, test } from 'vitest';
import { chooseArtifacts, parseInputFiles } from '../../../src/s2i/volumes.js';

describe('the label io.openshift.s2i.assemble-input-files', () => {
	test.each([
		['/opt/app', [['/opt/app', '']]],
		['/opt/app:', [['/opt/app', '']]],
		['/opt/app:.', [['/opt/app', '']]],
		['/opt/app/:lib/', [['/opt/app', 'lib']]],
		[
			'/a:x;/b/c:y/z;',
			[
				['/a', 'x'],
				['/b/c', 'y/z'],
			],
		],
		[' "/a b":\'c d\' ', [['/a b', 'c d']]],
		['/a:b:c', [['/a:b', 'c']]],
		['/a:x/../y', [['/a', 'y']]],
		['', []],
		[' ; ', []],
	])('%j names its artifacts', (text, artifacts) => {
		expect(parseInputFiles(text)).toEqual(artifacts.map(([source, destination]) => ({ source, destination })));
	});

	test.each(['opt/app', ':x', '/a:/b', '/a:..', '/a:../b', '/a:x/../../b', '/a*', '/a:$x', '/a\0'])(
		'%j is refused',
		(text) => {
			expect(() => parseInputFiles(text)).toThrow(/assemble-input-files of the runtime image/);
			expect(() => parseInputFiles(text)).toThrow(expect.objectContaining({ code: 'IMAGE_INVALID' }));
		},
	);

	test('that names very many is refused', () => {
		expect(() => parseInputFiles('/a;'.repeat(1001))).toThrow(/more than 1000/);
	});
});

describe('the artifacts of a build', () => {
	const option = [{ source: '/mine', destination: '' }];

	test('are those of the command line, else those of the label', () => {
		expect(chooseArtifacts(option, ['/label'])).toEqual(option);
		expect(chooseArtifacts([], ['/label:x'])).toEqual([{ source: '/label', destination: 'x' }]);
	});

	test('must be named somewhere', () => {
		expect(() => chooseArtifacts([], [])).toThrow(expect.objectContaining({ code: 'USAGE' }));
	});
});
