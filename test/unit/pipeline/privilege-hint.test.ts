import { describe, expect, test } from 'vitest';
import { privilegeHint } from '../../../src/pipeline/assemble/execute-script.js';

const one = { singleId: true, uid: 0 };

describe('the hint for a process that had one id only', () => {
	test.each([
		["chown: changing ownership of 'file': Invalid argument", 'chown'],
		['chown: file: Invalid argument', 'chown'],
		["chgrp: changing group of 'file': Operation not permitted", 'chown'],
		["npm ERR! Error: EINVAL: invalid argument, chown '/root/.npm'", 'chown'],
		['tar: x: Cannot change ownership to uid 1000, gid 1000: Invalid argument', 'chown'],
		["dpkg: error processing archive: error setting ownership of './var': Operation not permitted", 'chown'],
		['error: unpacking of archive failed: cpio: chown failed - Invalid argument', 'chown'],
		['E: setgroups 65534 failed - setgroups (1: Operation not permitted)', 'setgroups'],
		['E: seteuid 100 failed - seteuid (22: Invalid argument)', 'setuid'],
		['su: cannot set groups: setgroups: Operation not permitted', 'setgroups'],
		['mknod: /x: Operation not permitted', 'mknod'],
	])('after %s names %s, and the way out', (line, call) => {
		const hint = privilegeHint({ ...one, uid: 1001, lines: `first\n${line}\nlast` });
		expect(hint).toContain(`with which ${call} to another id fails`);
		expect(hint).toMatch(/usermod --add-subuids .* root/);
	});

	test('needs call and refusal on one line', () => {
		expect(privilegeHint({ ...one, uid: 1001, lines: 'chown a b\nx: Operation not permitted' })).toBeUndefined();
	});

	test('reminds of the one id when a root builder fails without a sign', () => {
		expect(privilegeHint({ ...one, lines: 'it broke' })).toMatch(/runs as root, but .* one user id/);
		expect(privilegeHint({ ...one, uid: 1001, lines: 'it broke' })).toBeUndefined();
	});

	test('is none where there are more ids', () => {
		expect(privilegeHint({ singleId: false, uid: 0, lines: 'chown: x: Invalid argument' })).toBeUndefined();
	});
});
