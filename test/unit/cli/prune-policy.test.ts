import { expect, test } from 'vitest';
import { command as pruneCommand, readPrunePolicy } from '../../../src/cli/commands/prune.js';
import { argumentsOf } from './io.js';

const DAY_MS = 86_400_000;

async function policyOf(line: string): Promise<ReturnType<typeof readPrunePolicy>> {
	const { spared } = await argumentsOf(
		pruneCommand,
		line.split(' ').filter((word) => word !== ''),
	);
	return readPrunePolicy(spared);
}

test.each([
	['', { olderThanMs: 7 * DAY_MS }],
	['--all', {}],
	['--older-than 12h', { olderThanMs: DAY_MS / 2 }],
	['--older-than 0s', { olderThanMs: 0 }],
	['--older-than 1.5d', { olderThanMs: 1.5 * DAY_MS }],
	['--keep-bytes 5G', { keepBytes: 5 * 2 ** 30 }],
	['--keep-bytes 0', { keepBytes: 0 }],
	['--keep-bytes 1.5MiB', { keepBytes: 1.5 * 2 ** 20 }],
	['--keep-bytes 500k --older-than 2w', { keepBytes: 512_000, olderThanMs: 14 * DAY_MS }],
	['--older-than 1d12h', { olderThanMs: 1.5 * DAY_MS }],
	['--keep-bytes= --older-than=', { olderThanMs: 7 * DAY_MS }],
])('%j is the policy %j', async (line, policy) => {
	expect(await policyOf(line)).toEqual(policy);
});

test.each([
	'--older-than 7',
	'--older-than -1d',
	'--older-than 7days',
	'--older-than d',
	'--keep-bytes all',
	'--keep-bytes -5G',
	'--all --older-than 7d',
])('%j is a usage error', async (line) => {
	await expect(policyOf(line)).rejects.toMatchObject({ code: 'USAGE' });
});
