import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Ulimit, UNLIMITED } from '../../../src/sandbox/limits.js';
import { fitUlimits } from '../../../src/sandbox/ulimits.js';

const PROC = [
	'Limit                     Soft Limit           Hard Limit           Units     ',
	'Max stack size            8388608              unlimited            bytes     ',
	'Max open files            1024                 4096                 files     ',
	'Max processes             100                  200                  processes ',
].join('\n');

const fit = (ulimit: Ulimit, raises = false) => fitUlimits([ulimit], PROC, raises);

describe('ulimits', () => {
	test('below those of this process are set as they are', () => {
		const ulimit = { name: 'nofile', soft: 100, hard: 4096 };
		expect(fit(ulimit)).toEqual({ ulimits: [ulimit], unenforced: [] });
		expect(fit({ name: 'stack', soft: 1, hard: UNLIMITED }).unenforced).toEqual([]);
	});

	test('beyond them become the highest possible, and that is said, unless we may raise them', () => {
		const ulimit = { name: 'nofile', soft: 5000, hard: UNLIMITED };
		const { ulimits, unenforced } = fit(ulimit);
		expect(ulimits).toEqual([{ name: 'nofile', soft: 4096, hard: 4096 }]);
		expect(unenforced).toEqual([expect.stringMatching(/^--ulimit nofile: it is 4096/)]);
		expect(fit(ulimit, true)).toEqual({ ulimits: [ulimit], unenforced: [] });
	});

	test('that Linux does not have are left out, and that is said', () => {
		for (const name of ['sockets', 'constructor', '']) {
			expect(fit({ name, soft: 1, hard: 1 })).toEqual({
				ulimits: [],
				unenforced: [`--ulimit ${name}: Linux has no such limit`],
			});
		}
	});

	test('are never softer than hard, and never above what is possible', () => {
		const limit = fc.oneof(fc.nat(10_000), fc.constant(UNLIMITED));
		fc.assert(
			fc.property(limit, limit, fc.boolean(), (soft, hard, raises) => {
				const [fitted] = fit({ name: 'nofile', soft, hard }, raises).ulimits;
				const size = (value = 0) => (value === UNLIMITED ? Number.POSITIVE_INFINITY : value);
				expect(size(fitted?.soft)).toBeLessThanOrEqual(size(fitted?.hard));
				if (!raises) expect(size(fitted?.hard)).toBeLessThanOrEqual(4096);
			}),
		);
	});
});
