// Sums the steps of scripts/test: node summary.mjs DIRECTORY, which holds NAME.status (the exit status of a step) and, of a
// step that ran tests, NAME.json (vitest's report). A step without tests counts as one. Fails when anything failed, and with
// CI=true also when a test was skipped for a reason that testdata/allowed-skips does not have.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

const MESSAGE_LINES = 6;
const MESSAGE_WIDTH = 300;

const [directory] = process.argv.slice(2);
const allowed = process.env.CI === 'true' ? allowedSkips() : undefined;
const steps = readdirSync(directory)
	.filter((file) => file.endsWith('.status'))
	.map((file) => readStep(file.slice(0, -'.status'.length)));

for (const line of steps.flatMap(({ notes }) => notes)) console.log(line);
const [passed, failed, skipped] = ['passed', 'failed', 'skipped'].map(sum);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);

function allowedSkips() {
	const lines = readFileSync(new URL('../testdata/allowed-skips', import.meta.url), 'utf8').split('\n');
	return new Set(lines.filter((line) => line !== '' && !line.startsWith('#')));
}

function readStep(name) {
	const status = Number(readFileSync(join(directory, `${name}.status`), 'utf8'));
	const path = join(directory, `${name}.json`);
	const tests = existsSync(path) ? readTests(JSON.parse(readFileSync(path, 'utf8'))) : undefined;
	if (tests === undefined)
		return {
			notes: status === 0 ? [] : failure(name, status),
			passed: status === 0 ? 1 : 0,
			failed: status === 0 ? 0 : 1,
			skipped: 0,
		};
	const of = (...outcomes) => tests.filter(({ outcome }) => outcomes.includes(outcome));
	const failed = of('failed', 'wrongly skipped').length;
	// A step can fail without a failed test: a file that does not load, or none that has a test.
	const hasFailed = status !== 0 || of('passed').length === 0;
	return {
		notes: [...of('failed', 'wrongly skipped', 'skipped').map(describe), ...(hasFailed ? failure(name, status) : [])],
		passed: of('passed').length,
		failed: hasFailed ? Math.max(failed, 1) : failed,
		skipped: of('skipped').length,
	};
}

function readTests({ testResults }) {
	return testResults.flatMap(({ name, assertionResults }) =>
		assertionResults.map(({ status, fullName, meta, failureMessages }) => ({
			name: `${relative('.', name)}: ${fullName}`,
			outcome: outcomeOf(status, meta?.skipped),
			reason: meta?.skipped ?? (status === 'failed' || status === 'passed' ? '' : 'no reason is given'),
			message: messageOf(failureMessages ?? []),
		})),
	);
}

function outcomeOf(status, reason) {
	if (status === 'passed' || status === 'failed') return status;
	return allowed === undefined || allowed.has(reason) ? 'skipped' : 'wrongly skipped';
}

// The first lines, indented; the whole is in the output of the step, which logs may cut.
function messageOf(failures) {
	const lines = failures.flatMap((failure) => stripVTControlCharacters(failure).split('\n'));
	const said = lines.filter((line) => line.trim() !== '' && !/^\s+at /.test(line));
	return said.slice(0, MESSAGE_LINES).map((line) => `\n\t${line.slice(0, MESSAGE_WIDTH)}`);
}

function describe({ outcome, name, reason, message }) {
	if (outcome === 'failed') return `failed: ${name}${message.join('')}`;
	if (outcome === 'skipped') return `skipped: ${name}: ${reason}`;
	return `failed: ${name}: skipped, which testdata/allowed-skips does not allow: ${reason}`;
}

function failure(name, status) {
	return [`failed: ${name}, with exit status ${status}; see above`];
}

function sum(key) {
	return steps.reduce((total, step) => total + step[key], 0);
}
