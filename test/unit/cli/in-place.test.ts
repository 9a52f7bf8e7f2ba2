import { describe, expect, test } from 'vitest';
import { readHostRequest } from '../../../src/cli/host-options.js';
import { isBuildError } from '../../../src/errors.js';
import type { HostRequest } from '../../../src/pipeline/request.js';

type Words = Partial<Pick<HostRequest, 'isolation' | 'userns' | 'rootfs'>>;

function read(words: Words): readonly string[] {
	const { isolation, userns, rootfs } = readHostRequest({ store: '/s', ...words }, { env: {} });
	return [isolation, userns, rootfs];
}

describe('a build in place', () => {
	test.each<[Words, readonly string[]]>([
		[{ rootfs: 'in-place', isolation: 'none' }, ['none', 'auto', 'in-place']],
		[{ rootfs: 'in-place' }, ['none', 'auto', 'in-place']],
		[{ isolation: 'none', userns: 'none' }, ['none', 'none', 'in-place']],
		[{ userns: 'none' }, ['auto', 'none', 'auto']],
	])('is asked for by %j', (words, expected) => {
		expect(read(words)).toEqual(expected);
	});

	test.each<[Words, string]>([
		[{ rootfs: 'in-place', isolation: 'runc' }, 'runc'],
		[{ isolation: 'none', rootfs: 'copy' }, 'copy'],
		[{ rootfs: 'in-place', userns: 'full' }, 'full'],
	])('has neither a sandbox nor a namespace: %j', (words, named) => {
		let error: unknown;
		try {
			read(words);
		} catch (thrown) {
			error = thrown;
		}
		expect(isBuildError(error, 'USAGE') && error.message).toContain(`do not go with ${named}`);
	});
});
