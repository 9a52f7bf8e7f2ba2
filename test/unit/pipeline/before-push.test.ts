import { describe, expect, test } from 'vitest';
import { checkBeforePush, wantedProcess } from '../../../src/pipeline/before-push.js';

/** The five forms of BuildPostCommitSpec, and what OpenShift's builder makes of each. */
const FORMS = [
	[{ script: 'rake test' }, { entrypoint: ['/bin/sh', '-ic'], args: ['rake test', '/bin/sh'] }],
	[
		{ script: 'rake test $1', args: ['--verbose'] },
		{ entrypoint: ['/bin/sh', '-ic'], args: ['rake test $1', '/bin/sh', '--verbose'] },
	],
	[{ command: ['/bin/bash', '-c', 'rake'] }, { entrypoint: ['/bin/bash', '-c', 'rake'], args: [] }],
	[
		{ command: ['rake', 'test'], args: ['--verbose'] },
		{ entrypoint: ['rake', 'test'], args: ['--verbose'] },
	],
	[{ args: ['rake', 'test'] }, { args: ['rake', 'test'] }],
] as const;

describe('the forms of a command before the push', () => {
	test.each(FORMS)('%j', (asked, wanted) => {
		checkBeforePush(asked);
		expect(wantedProcess(asked)).toEqual(wanted);
	});

	test.each([{}, { script: '' }, { script: ' \n' }, { command: [], args: [] }, { script: 'a', command: ['b'] }])(
		'%j is refused',
		(asked) => {
			expect(() => checkBeforePush(asked)).toThrow(expect.objectContaining({ code: 'USAGE' }));
		},
	);
});
