import { describe, expect, test } from 'vitest';
import { BuildError, errnoOf } from '../../src/errors.js';
import { hostFault, noSpace } from '../../src/host-fault.js';

function systemError(code: string, more: object = {}): Error {
	return Object.assign(new Error(`${code}: it failed`), { code, ...more });
}

describe('a system error', () => {
	test.each([
		['ENOSPC', /^no space is left for the store \/s$/, /Free some space.*--store/],
		['EDQUOT', /^the disk quota of this user is used up for the store \/s$/, /quota raised.*--store/],
		['EFBIG', /than this process may write for the store \/s$/, /ulimit -f.*--store/],
	])('%s is no room, named by its place, with two ways out', (code, message, hint) => {
		for (const error of [systemError(code), new Error('outer', { cause: systemError(code) })]) {
			const found = noSpace(error, 'the store /s');
			expect(found).toMatchObject({ code: 'HOST_NO_SPACE', message: expect.stringMatching(message) as string });
			expect(found?.hint).toMatch(hint);
		}
	});

	test.each([
		['EROFS', 'HOST_STORE'],
		['EIO', 'HOST_STORE'],
		['EMFILE', 'HOST_LIMIT'],
		['ENFILE', 'HOST_LIMIT'],
		['ENOMEM', 'HOST_LIMIT'],
		['EAGAIN', 'HOST_LIMIT'],
	])('%s is %s, with a hint', (code, expected) => {
		expect(noSpace(systemError(code), 'x')).toBeUndefined();
		expect(hostFault(systemError(code))).toMatchObject({ code: expected, hint: expect.any(String) as string });
	});

	test.each(['UNKNOWN', 'Unknown system error -122'])('that libuv calls %s is known by its number', (code) => {
		const error = systemError(code, { errno: -122 });
		expect(noSpace(error, 'x')?.message).toBe('the disk quota of this user is used up for x');
		expect(errnoOf(systemError(code, { errno: -99_999 }))).toBe(code);
	});

	test('that names no path is said of the place that is given', () => {
		expect(hostFault(systemError('ENOSPC'), '/scratch')).toMatchObject({ message: 'no space is left for /scratch' });
		const named = systemError('ENOSPC', { path: '/from', dest: '/to' });
		expect(hostFault(named, '/scratch')).toMatchObject({ message: 'no space is left for /to' });
	});

	test('of another kind, and what is explained already, stay as they are', () => {
		const explained = new BuildError('SOURCE_INVALID', 'x', { cause: systemError('ENOSPC') });
		for (const error of [systemError('ENOENT'), explained, 'text', undefined]) expect(hostFault(error)).toBe(error);
	});
});
