import { describe, expect, test } from 'vitest';
import { BuildError, isBuildError } from '../../../src/errors.js';
import { fromWire, toWire } from '../../../src/protocol/messages.js';

const overTheWire = (error: unknown) =>
	fromWire(JSON.parse(JSON.stringify(toWire(error))) as ReturnType<typeof toWire>);

describe('an error that crosses the channel', () => {
	test.each([{ hint: 'do this' }, {}])('is the same error for the user, with %o', (options) => {
		const error = new BuildError('LAYER_UNSAFE', 'what failed', options);
		const copy = overTheWire(error);
		expect(isBuildError(copy)).toBe(true);
		expect(copy).toMatchObject({ code: 'LAYER_UNSAFE', message: 'what failed', hint: error.hint });
	});

	test('takes neither cause nor stack of a user’s error along', () => {
		const error = new BuildError('LAYER_UNSAFE', 'what failed', { cause: new Error('a secret') });
		expect(JSON.stringify(toWire(error))).not.toContain('secret');
	});

	test('is a bug with the stack of where it happened, when it is no user’s error', () => {
		const bug = new TypeError('oops');
		const copy = overTheWire(bug);
		expect(isBuildError(copy)).toBe(false);
		expect([copy.message, copy.stack]).toEqual(['oops', bug.stack]);
		expect(overTheWire('just text').message).toBe('just text');
	});
});
