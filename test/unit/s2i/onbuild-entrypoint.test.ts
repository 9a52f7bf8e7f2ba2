import { expect, test } from 'vitest';
import { guessEntrypoint } from '../../../src/pipeline/onbuild/run-onbuild.js';

const files = (...names: readonly string[]) => names.map((name) => ({ name, executable: true }));

test.each([
	[['run'], 'run'],
	[['run.sh'], 'run.sh'],
	[['start'], 'start'],
	[['start.sh'], 'start.sh'],
	[['exec'], 'exec'],
	[['execute.sh'], 'execute.sh'],
	[['start', 'run', 'README'], 'run'],
	[['run.sh', 'run'], 'run'],
	[['run', 'execute', 'exec.sh'], 'exec.sh'],
	[['running', 'prerun', 'run.py', 'Run', 'run.sh.bak'], undefined],
	[[], undefined],
] as const)('the entrypoint of a source with %j is %s', (names, entrypoint) => {
	expect(guessEntrypoint(files(...names))).toBe(entrypoint);
});

test('a file that nobody may execute is no entrypoint', () => {
	expect(guessEntrypoint([{ name: 'run', executable: false }, ...files('start.sh')])).toBe('start.sh');
});
