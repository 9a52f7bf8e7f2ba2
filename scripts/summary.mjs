// Sums the runs of scripts/test: node summary.mjs DIRECTORY, which holds NAME.status (the exit status of a run) and
// NAME.json (vitest's report). Fails when anything failed or when no test ran.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const [directory] = process.argv.slice(2);
const runs = readdirSync(directory)
	.filter((file) => file.endsWith('.status'))
	.map((file) => readRun(file.slice(0, -'.status'.length)));

for (const line of runs.flatMap(({ notes }) => notes)) console.log(line);
const [passed, failed, skipped] = ['passed', 'failed', 'skipped'].map(sum);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);

function readRun(name) {
	const status = Number(readFileSync(join(directory, `${name}.status`), 'utf8'));
	const path = join(directory, `${name}.json`);
	const files = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).testResults : [];
	const tests = files.flatMap((file) =>
		file.assertionResults.map((test) => ({ ...test, file: relative('.', file.name) })),
	);
	const count = (...wanted) => tests.filter((test) => wanted.includes(test.status)).length;
	const notes = [...list(tests, 'failed', ['failed']), ...list(tests, 'skipped', ['pending', 'skipped', 'todo'])];
	const failed = count('failed');
	// A run can fail without a failed test: a file that does not load, a check before the tests.
	if (status !== 0 && failed === 0) notes.push(`failed: ${name}, with exit status ${status}; see above`);
	return {
		notes,
		passed: count('passed'),
		failed: status !== 0 ? Math.max(failed, 1) : failed,
		skipped: count('pending', 'skipped', 'todo'),
	};
}

function list(tests, word, statuses) {
	return tests
		.filter(({ status }) => statuses.includes(status))
		.map(({ file, fullName }) => `${word}: ${file}: ${fullName}`);
}

function sum(key) {
	return runs.reduce((total, run) => total + run[key], 0);
}
