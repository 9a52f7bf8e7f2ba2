import { expect, test } from 'vitest';
import { readPrunePolicy } from '../../../src/cli/commands/prune.js';

const none = { olderThan: undefined, keepBytes: undefined, all: false };
const DAY_MS = 86_400_000;

test.each([
	[{}, { olderThanMs: 7 * DAY_MS }],
	[{ all: true }, {}],
	[{ olderThan: '12h' }, { olderThanMs: DAY_MS / 2 }],
	[{ olderThan: '0s' }, { olderThanMs: 0 }],
	[{ olderThan: '1.5d' }, { olderThanMs: 1.5 * DAY_MS }],
	[{ keepBytes: '5G' }, { keepBytes: 5 * 2 ** 30 }],
	[{ keepBytes: '0' }, { keepBytes: 0 }],
	[{ keepBytes: '1.5MiB' }, { keepBytes: 1.5 * 2 ** 20 }],
	[
		{ keepBytes: '500k', olderThan: '2w' },
		{ keepBytes: 512_000, olderThanMs: 14 * DAY_MS },
	],
	[{ keepBytes: '', olderThan: '' }, { olderThanMs: 7 * DAY_MS }],
])('%j is the policy %j', (args, policy) => {
	expect(readPrunePolicy({ ...none, ...args })).toEqual(policy);
});

test.each([
	{ olderThan: '7' },
	{ olderThan: '-1d' },
	{ olderThan: '7 days' },
	{ keepBytes: 'all' },
	{ keepBytes: '-5G' },
	{ all: true, olderThan: '7d' },
])('%j is a usage error', (args) => {
	expect(() => readPrunePolicy({ ...none, ...args })).toThrow(expect.objectContaining({ code: 'USAGE' }) as Error);
});
