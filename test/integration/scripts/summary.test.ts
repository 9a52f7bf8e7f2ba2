import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const SUMMARY = fileURLToPath(new URL('../../../scripts/summary.mjs', import.meta.url));
const PASSED = { status: 'passed', fullName: 'one' };
const FAILED = { status: 'failed', fullName: 'two' };
const SKIPPED = { status: 'skipped', fullName: 'three', meta: { skipped: 'no such thing here' } };

type Step = readonly [name: string, status: number, tests?: readonly object[]];

/** Prints the summary of `steps` as scripts/test leaves them. */
function summary(steps: readonly Step[], env: Readonly<Record<string, string>> = {}) {
	const directory = mkdtempSync(join(tmpdir(), 's2oci-summary-'));
	onTestFinished(() => rmSync(directory, { recursive: true }));
	for (const [name, status, tests] of steps) {
		writeFileSync(join(directory, `${name}.status`), `${status}\n`);
		const report = { testResults: [{ name: '/a/b.test.ts', assertionResults: tests }] };
		if (tests !== undefined) writeFileSync(join(directory, `${name}.json`), JSON.stringify(report));
	}
	const { stdout, status } = spawnSync(process.execPath, [SUMMARY, directory], { encoding: 'utf8', env });
	return { lines: stdout.trimEnd().split('\n'), status };
}

test('counts checks and tests', () => {
	const { lines, status } = summary([
		['lint', 0],
		['unit', 0, [PASSED, PASSED]],
	]);
	expect(lines).toEqual(['3 passed, 0 failed']);
	expect(status).toBe(0);
});

test('names each step that failed, and counts what passed in the others', () => {
	const { lines, status } = summary([
		['format', 1],
		['unit', 1, [PASSED, FAILED]],
		['e2e', 0, [PASSED]],
	]);
	expect(lines).toContainEqual(expect.stringMatching(/^failed: format\b/));
	expect(lines).toContainEqual(expect.stringMatching(/^failed: unit\b/));
	expect(lines).toContainEqual(expect.stringMatching(/^failed: .*b\.test\.ts: two$/));
	expect(lines.at(-1)).toBe('2 passed, 2 failed');
	expect(status).toBe(1);
});

test('tells what a test failed of, without the stack', () => {
	const failureMessages = [
		'AssertionError: expected 1 to be 2\n\n- Expected\n    at /a/b.test.ts:3:4\n    at x',
		'Error: more',
	];
	const { lines } = summary([['unit', 1, [{ ...FAILED, failureMessages }]]]);
	expect(lines.slice(1, 4)).toEqual(['\tAssertionError: expected 1 to be 2', '\t- Expected', '\tError: more']);
	expect(lines.at(-1)).toBe('0 passed, 1 failed');
});

test.each<[string, Step]>([
	['that ran no test', ['unit', 0, []]],
	['whose files did not load', ['unit', 1, [PASSED]]],
	['that ended without a report', ['unit', 137]],
])('a step %s counts as failed', (_, step) => {
	const { lines, status } = summary([step, ['lint', 0]]);
	expect(lines).toContainEqual(expect.stringMatching(/^failed: unit\b/));
	expect(lines.at(-1)).toMatch(/ passed, 1 failed$/);
	expect(status).toBe(1);
});

test('a skipped test is listed with its reason', () => {
	const { lines, status } = summary([['unit', 0, [PASSED, SKIPPED, { status: 'todo', fullName: 'four' }]]]);
	expect(lines[0]).toMatch(/^skipped: .*b\.test\.ts: three: no such thing here$/);
	expect(lines[1]).toMatch(/^skipped: .*: four: no reason is given$/);
	expect(lines.at(-1)).toBe('1 passed, 0 failed, 2 skipped');
	expect(status).toBe(0);
});

test('in CI, a test that is skipped for a reason that is not allowed counts as failed', () => {
	const { lines, status } = summary([['unit', 0, [PASSED, SKIPPED]]], { CI: 'true' });
	expect(lines[0]).toMatch(/^failed: .*three: .*allowed-skips.*: no such thing here$/);
	expect(lines.at(-1)).toBe('1 passed, 1 failed');
	expect(status).toBe(1);
});
