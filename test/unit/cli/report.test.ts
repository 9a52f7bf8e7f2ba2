import { expect, test } from 'vitest';
import { openJsonReport, type Report, type ReportOptions } from '../../../src/cli/report.js';
import { openPlainReport, openTtyReport } from '../../../src/cli/report-text.js';
import { BuildError } from '../../../src/errors.js';
import { digestOf } from '../../../src/oci/digest.js';
import type { BuildEvent } from '../../../src/pipeline/events.js';
import type { BuildResult } from '../../../src/pipeline/result.js';

const digest = digestOf(new Uint8Array());
const result: BuildResult = {
	success: true,
	name: 'reg.example/app:1',
	digest,
	layer: { digest, diffId: digest, size: 4_100_000, added: 12, changed: 3, deleted: 1 },
	bytes: { downloaded: 120_000_000, uploaded: 4_100_000, mounted: 0 },
	timings: [],
};
const output = (text: string, from: 'stdout' | 'stderr' = 'stdout'): BuildEvent => ({
	type: 'output',
	from,
	chunk: Buffer.from(text),
});
const progress = (done: number): BuildEvent => ({
	type: 'progress',
	transfer: 'pull',
	digest,
	done,
	total: 100_000_000,
});

/** Plays `events`, each with the second at which it comes; what was printed. */
function play(
	open: (options: ReportOptions) => Report,
	events: readonly (readonly [second: number, event: BuildEvent])[],
	options: Partial<ReportOptions> = {},
	end: { readonly result?: BuildResult; readonly error?: unknown } = {},
): string {
	const written: Buffer[] = [];
	let second = 0;
	const report = open({
		write: (text) => written.push(Buffer.from(text)),
		loglevel: 1,
		quiet: false,
		color: false,
		columns: () => 60,
		now: () => second * 1000,
		...options,
	});
	for (const [at, event] of events) {
		second = at;
		report.emit(event);
	}
	report.finish(end.result, end.error);
	return Buffer.concat(written).toString('utf8');
}

const build: readonly (readonly [number, BuildEvent])[] = [
	[0, { type: 'stage', stage: 'resolve', status: 'start' }],
	[0.3, { type: 'stage', stage: 'resolve', status: 'done', ms: 300 }],
	[0.3, { type: 'blob', transfer: 'pull', digest, size: 100_000_000, status: 'start' }],
	[1, progress(10_000_000)],
	[5, progress(50_000_000)],
	[12, progress(80_000_000)],
	[13, progress(90_000_000)],
	[14, { type: 'retry', what: 'pull of x', attempt: 2, afterMs: 500, reason: 'reset\nerror: forged' }],
	[15, { type: 'blob', transfer: 'pull', digest, size: 100_000_000, status: 'done' }],
	[15, { type: 'stage', stage: 'pull', status: 'done', ms: 14_700, detail: '1 layer, 100 MB' }],
	[
		16,
		{
			type: 'rung',
			rung: { number: 2, userNamespace: 'full', rootfs: 'overlay', sandbox: 'runc', reason: 'newuidmap works' },
		},
	],
	[16, { type: 'stage', stage: 'assemble', status: 'start' }],
	[16, output('---> Installing')],
	[17, { type: 'log', level: 2, message: 'hidden' }],
	[17, { type: 'warning', code: 'X', message: 'look' }],
	[18, output('oops\n', 'stderr')],
];

test('the plain report is what a CI log needs', () => {
	expect(play(openPlainReport, build, {}, { result })).toBe(
		[
			'resolve took 0.3 s',
			'pull: 80.0 MB of 100 MB, 6.8 MB/s',
			'retry 2 of pull of x in 0.5 s: reset error: forged',
			'pull took 14.7 s: 1 layer, 100 MB',
			'rung 2 (runc on an overlay): newuidmap works',
			'assemble begins',
			'---> Installing',
			'warning: look',
			'oops',
			'built reg.example/app:1 in 18.0 s: layer 4.1 MB (12 added, 3 changed, 1 deleted), downloaded 120 MB, uploaded 4.1 MB',
			'',
		].join('\n'),
	);
});

test('a quiet report keeps warnings, retries, stderr and errors', () => {
	const error = new BuildError('ASSEMBLE_FAILED', 'assemble failed', { hint: 'Read.' });
	expect(play(openPlainReport, build, { quiet: true }, { result, error })).toBe(
		'retry 2 of pull of x in 0.5 s: reset error: forged\nwarning: look\noops\nerror: assemble failed\nhint: Read.\n',
	);
	expect(play(openPlainReport, build, { quiet: true }, { result })).not.toContain('built');
});

test('a higher loglevel shows more', () => {
	expect(play(openPlainReport, build, { loglevel: 2 })).toContain('hidden\n');
	expect(play(openPlainReport, build, { loglevel: 4 })).toContain(`pull ${digest.slice(0, 19)} 100 MB: done\n`);
	expect(play(openPlainReport, build, { loglevel: 0 })).not.toContain('took');
});

test('the terminal report draws a bar, moves lines above it, and takes it away at the end', () => {
	const events: typeof build = [
		[0, { type: 'blob', transfer: 'pull', digest, size: 100_000_000, status: 'start' }],
		[0.05, progress(10_000_000)],
		[1, progress(50_000_000)],
		[1.05, { type: 'warning', code: 'X', message: 'look' }],
	];
	expect(play(openTtyReport, events)).toBe(
		[
			'pull   ........................ 0 B of 100 MB, 0 B/s\n',
			'\u001b[1A\r\u001b[J',
			'pull   ############............ 50.0 MB of 100 MB, 50.0 MB/\n',
			'\u001b[1A\r\u001b[J',
			'warning: look\n',
			'pull   ############............ 50.0 MB of 100 MB, 47.6 MB/\n',
			'\u001b[1A\r\u001b[J',
		].join(''),
	);
});

test('the terminal report never draws into an unfinished line of assemble', () => {
	const events: typeof build = [
		[0, output('Compiling... ')],
		[1, progress(1)],
		[2, output('\u001b[32mdone\u001b[0m\n')],
		[3, { type: 'blob', transfer: 'pull', digest, size: 100_000_000, status: 'done' }],
		[4, output('half')],
	];
	const error = new BuildError('ASSEMBLE_FAILED', 'assemble failed');
	expect(play(openTtyReport, events, {}, { error })).toBe(
		[
			'Compiling... \u001b[32mdone\u001b[0m\n',
			'pull   ........................ 1 B of 100 MB, 1 B/s\n',
			'\u001b[1A\r\u001b[J',
			'half\nerror: assemble failed\n',
		].join(''),
	);
});

test('the JSON report prints the events, the error and the result, one a line', () => {
	const error = new BuildError('REGISTRY_DENIED', 'push to https://ada:s3cret@host/ denied', { hint: 'Ask.' });
	const events: typeof build = [
		[0, { type: 'stage', stage: 'push', status: 'start' }],
		[0, progress(1)],
		[0.5, progress(2)],
		[0.6, progress(100_000_000)],
		[1, { type: 'log', level: 2, message: 'hidden' }],
		[1, output('caf\u00e9\u0000\u001b[1m\n')],
	];
	const lines = play(openJsonReport, events, {}, { result: { ...result, success: false }, error })
		.trimEnd()
		.split('\n')
		.map((line) => JSON.parse(line) as unknown);
	expect(lines).toEqual([
		{ type: 'stage', stage: 'push', status: 'start' },
		progress(1),
		progress(100_000_000),
		{ type: 'output', from: 'stdout', text: 'caf\u00e9\u0000\u001b[1m\n' },
		{ type: 'error', code: 'REGISTRY_DENIED', message: 'push to https://[redacted]@host/ denied', hint: 'Ask.' },
		{ type: 'result', ...result, success: false },
	]);
});

test('a character that comes in two chunks is one character in JSON', () => {
	const bytes = Buffer.from('\u20ac\n');
	const events: typeof build = [
		[0, { type: 'output', from: 'stdout', chunk: bytes.subarray(0, 1) }],
		[0, { type: 'output', from: 'stdout', chunk: bytes.subarray(1) }],
		[0, { type: 'output', from: 'stderr', chunk: Buffer.from([0xff]) }],
	];
	expect(play(openJsonReport, events)).toBe(
		'{"type":"output","from":"stdout","text":"\u20ac\\n"}\n{"type":"output","from":"stderr","text":"\ufffd"}\n',
	);
});

test('a bug is told with its stack in JSON', () => {
	const [line = ''] = play(openJsonReport, [], {}, { error: new TypeError('oops') }).split('\n');
	expect(JSON.parse(line)).toMatchObject({ type: 'error', code: 'BUG', message: 'oops' });
	expect(line).toContain('report.test.ts');
});
