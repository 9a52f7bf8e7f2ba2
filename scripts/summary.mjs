// Sums the steps of scripts/test: node summary.mjs DIRECTORY, which holds NAME.status (the exit status of a step) and, of a
// step that ran tests, NAME.json (vitest's report). A step without tests counts as one. Fails when anything failed.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const [directory] = process.argv.slice(2);
const steps = readdirSync(directory)
	.filter((file) => file.endsWith('.status'))
	.map((file) => readStep(file.slice(0, -'.status'.length)));

for (const line of steps.flatMap(({ notes }) => notes)) console.log(line);
const [passed, failed, skipped] = ['passed', 'failed', 'skipped'].map(sum);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);

function readStep(name) {
	const status = Number(readFileSync(join(directory, `${name}.status`), 'utf8'));
	const path = join(directory, `${name}.json`);
	return existsSync(path) ? testsOf(name, status, JSON.parse(readFileSync(path, 'utf8'))) : stepOf(name, status);
}

function stepOf(name, status) {
	if (status === 0) return { notes: [], passed: 1, failed: 0, skipped: 0 };
	return { notes: [`failed: ${name}, with exit status ${status}; see above`], passed: 0, failed: 1, skipped: 0 };
}

function testsOf(name, status, { testResults }) {
	const tests = testResults.flatMap((file) =>
		file.assertionResults.map((test) => ({ ...test, file: relative('.', file.name) })),
	);
	const count = (...wanted) => tests.filter((test) => wanted.includes(test.status)).length;
	const notes = [...list(tests, 'failed', ['failed']), ...list(tests, 'skipped', ['pending', 'skipped', 'todo'])];
	// A run can fail without a failed test: a file that does not load, or none that has tests.
	const hasFailed = status !== 0 || count('passed') === 0;
	if (hasFailed && count('failed') === 0) notes.push(`failed: ${name}, with exit status ${status}; see above`);
	else if (hasFailed) notes.push(`failed: ${name}`);
	return {
		notes,
		passed: count('passed'),
		failed: hasFailed ? Math.max(count('failed'), 1) : count('failed'),
		skipped: count('pending', 'skipped', 'todo'),
	};
}

function list(tests, word, statuses) {
	return tests
		.filter(({ status }) => statuses.includes(status))
		.map(({ file, fullName, meta }) => `${word}: ${file}: ${fullName}${meta?.skipped ? `: ${meta.skipped}` : ''}`);
}

function sum(key) {
	return steps.reduce((total, step) => total + step[key], 0);
}
