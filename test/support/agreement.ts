import { expect, test } from 'vitest';
import { needs } from './needs.js';

/** What tests that must all come to the same came to, such as the image of one source on each rung. */
export interface Agreement {
	/** Fails unless `outcome` is that of the tests before. */
	readonly add: (outcome: string) => void;
	/** A test, to stand after them, that some were compared. It is skipped, saying so, where fewer than two could run. */
	readonly isTested: () => void;
}

/** Agreement on `what`, such as `the image`. One outcome alone proves nothing, so `isTested` belongs to the end of the tests that add. */
export function agreement(what: string): Agreement {
	const outcomes: string[] = [];
	return {
		add: (outcome) => {
			outcomes.push(outcome);
			expect(outcome).toBe(outcomes[0]);
		},
		isTested: () => {
			test(`${what} was the same at least twice`, (context) => {
				needs(context, outcomes.length > 1, 'fewer than two of the tests before it could run, so nothing was compared');
				expect(new Set(outcomes).size).toBe(1);
			});
		},
	};
}
