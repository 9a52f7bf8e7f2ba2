import { expect, test } from 'vitest';
import { describeBounds, describeLandlock } from '../../../src/sandbox/job-bounds.js';
import { NO_LIMITS } from '../../../src/sandbox/limits.js';

/** Docker's default, and that without CAP_CHOWN and CAP_SETUID. */
const [DOCKER, FEWER] = ['00000000a80425fb', '00000000a804257a'];
const status = (seccomp: number, bounding: string) =>
	`Name:\tnode\nCapBnd:\t${bounding}\nSeccomp:\t${seccomp}\nSeccomp_filters:\t1\n`;

test('a job that may do all that a sandbox allows is not told of anything', () => {
	expect(describeBounds(status(0, DOCKER), 'none', NO_LIMITS)).toEqual([]);
	expect(describeBounds('', 'full', NO_LIMITS)).toEqual([]);
});

test('a filter of the job holds in every sandbox', () => {
	expect(describeBounds(status(2, DOCKER), 'full', NO_LIMITS)).toEqual([
		'the job has a seccomp filter of its own: what that forbids stays forbidden, whatever --security-opt allows',
	]);
});

test('capabilities that the job lacks are named where there is no user namespace, but for those that nobody wants', () => {
	const lacking = ['root of an image lacks CAP_CHOWN, CAP_SETUID, which the job has not got'];
	expect(describeBounds(status(0, FEWER), 'none', NO_LIMITS)).toEqual(lacking);
	expect(describeBounds(status(0, FEWER), 'single', NO_LIMITS)).toEqual([]);
	expect(describeBounds(status(0, FEWER), 'none', { ...NO_LIMITS, capDrop: ['ALL'] })).toEqual([]);
});

test('without a /proc nothing is known', () => {
	expect(describeBounds('', 'none', NO_LIMITS)).toEqual([]);
});

test('what Landlock does not do on rung 5 is said, and nothing where it does all', () => {
	expect(describeLandlock('files-and-signals')).toEqual([]);
	expect(describeLandlock('files')).toEqual([expect.stringMatching(/older than that of Linux 6\.12: .* signal /)]);
	expect(describeLandlock('nothing')).toEqual([expect.stringMatching(/no Landlock here: .* pass it a directory/)]);
});
