import { expect, test } from 'vitest';
import { describeRun } from '../../../../src/pipeline/compare/describe-run.js';
import type { RunSeen } from '../../../../src/pipeline/compare/observe-run.js';
import { judge } from '../../../../src/pipeline/compare/verdict.js';
import { MAX_CHANGES } from '../../../../src/protocol/observation.js';

const OPTIONS = { tolerate: { startup: 3, memory: 1.5 }, ignore: [] };
const SEEN: RunSeen = {
	ended: undefined,
	readyAfter: 10,
	listening: [{ port: 80, address: 'any', family: 4 }],
	answers: [],
	processes: ['server'],
	memory: 1,
	stopped: 0,
	changes: [],
};

test('what nobody looked at is named, and not taken for the same', () => {
	const question = { port: 80, family: 4, path: '/' } as const;
	const answer = { type: 'response', status: 200, headers: [], body: 'YQ==', cut: true } as const;
	const changes = Array.from({ length: MAX_CHANGES }, (_none, index) => `added /srv/${index}`);
	const printed = { stdout: 'a\n', stderr: '', cut: ['stdout'] as const };
	const run = describeRun({ ...SEEN, answers: [[question, answer]], changes }, printed);
	const { verdict, incomparable } = judge([run, run], [run, run], OPTIONS);
	expect(verdict).toBe('same');
	expect(incomparable).toEqual(['GET / on port 80: body: the rest', 'stdout: the rest', 'files: the rest']);
});

test('what is longer on one side only is a difference', () => {
	const [long, short] = [['stdout'] as const, []].map((cut) => describeRun(SEEN, { stdout: 'a\n', stderr: '', cut }));
	expect(judge([long ?? []], [short ?? []], OPTIONS).differences).toMatchObject([{ field: 'stdout: the rest' }]);
});
