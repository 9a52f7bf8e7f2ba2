import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseChallenges } from '../../../src/registry/challenge.js';

function plain(header: string): unknown {
	return parseChallenges(header).map(({ scheme, params }) => [scheme, Object.fromEntries(params)]);
}

describe('parseChallenges', () => {
	test.each([
		['Basic realm="Registry Realm"', [['basic', { realm: 'Registry Realm' }]]],
		['basic', [['basic', {}]]],
		[
			'Bearer realm="https://auth.example/token",service="reg",scope="repository:a/b:pull,push"',
			[['bearer', { realm: 'https://auth.example/token', service: 'reg', scope: 'repository:a/b:pull,push' }]],
		],
		['Bearer realm="a", error="x\\"y"', [['bearer', { realm: 'a', error: 'x"y' }]]],
		[
			'Bearer realm=token , Basic realm="b"',
			[
				['bearer', { realm: 'token' }],
				['basic', { realm: 'b' }],
			],
		],
		[
			'Basic realm="b", Bearer REALM="a",service=s',
			[
				['basic', { realm: 'b' }],
				['bearer', { realm: 'a', service: 's' }],
			],
		],
		[
			'Negotiate, Basic realm="b"',
			[
				['negotiate', {}],
				['basic', { realm: 'b' }],
			],
		],
		[
			'Negotiate YWJj==, Basic realm="b"',
			[
				['negotiate', {}],
				['basic', { realm: 'b' }],
			],
		],
		['Bearer realm="first",realm="second"', [['bearer', { realm: 'first' }]]],
		['', []],
		[' , ', []],
	])('reads %s', (header, challenges) => {
		expect(plain(header)).toEqual(challenges);
	});

	test('a header of more than 16 KiB has no challenges', () => {
		expect(parseChallenges(`Bearer realm="${'x'.repeat(20_000)}"`)).toEqual([]);
	});

	test('blanks cost no more than other characters', () => {
		const began = performance.now();
		for (let count = 0; count < 50; count += 1) parseChallenges(`Bearer ${' '.repeat(16_000)}`);
		expect(performance.now() - began).toBeLessThan(1000);
	});

	test('any header ends, without throwing', () => {
		fc.assert(
			fc.property(
				fc.string({ maxLength: 200, unit: fc.constantFrom('a', 'B', ' ', ',', '=', '"', '\\', '/', '\t') }),
				(header) => {
					expect(Array.isArray(parseChallenges(header))).toBe(true);
				},
			),
		);
	});

	test('what is written as quoted strings is read back', () => {
		const token = fc.stringMatching(/^[a-z]{1,8}$/);
		const params = fc.dictionary(token, fc.string({ maxLength: 20 }), {
			minKeys: 1,
			maxKeys: 4,
			noNullPrototype: true,
		});
		fc.assert(
			fc.property(fc.array(fc.tuple(token, params), { minLength: 1, maxLength: 3 }), (challenges) => {
				const header = challenges
					.map(([scheme, values]) => {
						const list = Object.entries(values).map(([key, value]) => `${key}="${value.replace(/["\\]/g, '\\$&')}"`);
						return `${scheme} ${list.join(', ')}`;
					})
					.join(', ');
				expect(plain(header)).toEqual(challenges);
			}),
		);
	});
});
