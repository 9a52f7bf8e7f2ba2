import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CiEngine } from '../../../src/cli/ci-engine.js';
import { foldedReport, jsonWriter, openCiLog } from '../../../src/cli/ci-log.js';
import { openPlainReport } from '../../../src/cli/report-text.js';
import { BuildError } from '../../../src/errors.js';
import type { BuildEvent } from '../../../src/pipeline/events.js';

/** The log of a build whose assemble prints `chunks`, after what ran before it in the step. */
function logOf(engine: CiEngine, chunks: readonly Buffer[], error?: unknown, before = 'left open'): Buffer {
	const written: Buffer[] = [Buffer.from(before)];
	const log = openCiLog(engine, (text) => void written.push(Buffer.from(text)));
	if (log === undefined) throw new Error(`the log of ${engine} is that of any program`);
	const options = { loglevel: 1, quiet: false, color: false, columns: () => 80, now: () => 0, write: log.write };
	const report = foldedReport(openPlainReport(options), log, true);
	const events: readonly BuildEvent[] = [
		{ type: 'stage', stage: 'assemble', status: 'start' },
		...chunks.map(
			(chunk, index): BuildEvent => ({ type: 'output', from: index % 2 === 0 ? 'stdout' : 'stderr', chunk }),
		),
		{ type: 'warning', code: 'X', message: `of the image: ${Buffer.concat(chunks).toString()}` },
		{ type: 'stage', stage: 'assemble', status: 'done', ms: 1 },
	];
	for (const event of events) report.emit(event);
	report.finish(undefined, error);
	return Buffer.concat([...written, Buffer.from('::of-the-next-program::\n')]);
}

/**
 * The commands that GitHub's runner takes from a log, as its ActionCommandManager does: `::name::` at the beginning of a line, `##[name]` anywhere,
 * but only the token while commands are stopped.
 */
function githubCommands(log: Buffer): readonly string[] {
	const taken: string[] = [];
	let token: string | undefined;
	for (const line of log.toString('latin1').split(/\r\n|\r|\n/)) {
		const [, name = '', data = ''] =
			/^\s*::([^: ]+)[^:]*::(.*)$/.exec(line) ?? /##\[([^\]; ]+)[^\]]*\](.*)$/.exec(line) ?? [];
		if (name === '') continue;
		if (token !== undefined) token = name === token ? undefined : token;
		else if (name === 'stop-commands') token = data;
		else taken.push(name);
	}
	return taken;
}

const OURS = /section_(start|end):\d+:([a-zA-Z0-9_.-]+)(?:\[[^\]]*\])?\r(?:\x1b\[0K)?/g;
const sections = (log: Buffer) => [...log.toString('latin1').matchAll(OURS)].map(([, kind, name]) => `${kind} ${name}`);

const HOSTILE = fc.array(
	fc.oneof(
		fc.constantFrom(
			'::add-mask::x',
			'\n',
			'\r',
			'\r\n',
			'##[set-env name=X]y',
			'::stop-commands::x\n',
			'::x::',
			' ',
			'\x1b[0K',
			'\0',
		),
		fc.constantFrom(
			'section_start:',
			'section_end:',
			'1234:s2oci_assemble\r',
			'section_',
			'start',
			'end',
			':',
			'x',
			'::endgroup::\n',
		),
		fc.string(),
	),
	{ maxLength: 12 },
);

/** `text` cut where `cuts` say. */
function cut(text: string, cuts: readonly number[]): readonly Buffer[] {
	const bytes = Buffer.from(text);
	const ends = [...cuts.map((each) => each % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
	return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

describe('what assemble prints', () => {
	test('commands no runner of GitHub, however it is cut', () => {
		fc.assert(
			fc.property(HOSTILE, fc.array(fc.nat()), fc.string(), (texts, cuts, before) => {
				const error = new BuildError('ASSEMBLE_FAILED', `its last lines:\n${texts.join('')}`);
				const log = logOf('github', cut(texts.join(''), cuts), error, before.replace(/::|##\[/g, ''));
				expect(githubCommands(log)).toEqual(['group', 'endgroup', 'error', 'of-the-next-program']);
			}),
		);
	});

	test('opens and ends no section of GitLab, however it is cut', () => {
		fc.assert(
			fc.property(HOSTILE, fc.array(fc.nat()), (texts, cuts) => {
				const error = new BuildError('ASSEMBLE_FAILED', texts.join(''));
				const log = logOf('gitlab', cut(texts.join(''), cuts), error, '');
				expect(sections(log)).toEqual(['start s2oci_assemble', 'end s2oci_assemble']);
			}),
		);
	});

	test('is otherwise as it was', () => {
		const bytes = Buffer.from([0x41, 0xff, 0xc3, 0x28, 0x0a, 0xe2, 0x82, 0xac, 0x0a]);
		expect(logOf('github', [bytes]).includes(bytes)).toBe(true);
		expect(logOf('gitlab', cut(bytes.toString('latin1'), [3])).includes(Buffer.from(bytes.toString('latin1')))).toBe(
			true,
		);
	});

	test('is in JSON what it was, and no command', () => {
		let line = '';
		const value = { text: 'x ##[add-mask]y ##[' };
		jsonWriter('github', (text) => (line += String(text)))(JSON.stringify(value));
		expect(githubCommands(Buffer.from(line))).toEqual([]);
		expect(JSON.parse(line)).toEqual(value);
	});
});

test('an annotation has the last lines of a script in one line', () => {
	const error = new BuildError('ASSEMBLE_FAILED', '100% wrong\r\n::add-mask::x\nlast');
	const log = logOf('github', [Buffer.from('x')], error).toString();
	expect(log).toContain('\n::error title=s2oci ASSEMBLE_FAILED::100%25 wrong%0A::add-mask::x%0Alast\n');
});

test.each(['tekton', 'jenkins'] as const)('%s takes no commands from a log', (engine) => {
	expect(openCiLog(engine, () => undefined)).toBeUndefined();
});
