import type { CompareRequest } from '../../pipeline/compare/compare.js';
import type { Tolerance } from '../../pipeline/compare/verdict.js';
import { NO_LIMITS } from '../../sandbox/limits.js';
import { checkHostFiles } from '../check-request.js';
import { comparisonJson, renderComparison } from '../comparison-text.js';
import { COMPARISON_STATUS } from '../exit-code.js';
import { hostOptions, readHostRequest, reportOptions } from '../host-options.js';
import { openImageNames, readLocation } from '../image-names.js';
import { choice, list, option, type Read, type Reading, required, section, type Values } from '../options.js';
import { withReport } from '../outcome.js';
import type { Definition } from '../parse-command.js';
import { sandboxOptions } from '../sandbox-options.js';
import { readEnvironment } from '../source-options.js';
import { impossible, listed, readDuration, readNumber } from '../values.js';

const FORMATS = ['text', 'json'] as const;
const TOLERANCE: Tolerance = { startup: 3, memory: 1.5 };
const READY_MS = 30_000;
const MAX_RUNS = 50;

const readRuns: Read<number> = (text, name) => {
	const hint = `Give a number from 2 to ${MAX_RUNS}.`;
	const runs = readNumber(/^\d{1,2}$/, hint)(text, name);
	if (runs >= 2 && runs <= MAX_RUNS) return runs;
	throw impossible(name, text, hint);
};

const readUser: Read<string> = (text, name) => {
	if (/^\d{1,10}(?::\d{1,10})?$/.test(text)) return text.includes(':') ? text : `${text}:0`;
	throw impossible(
		name,
		text,
		'Give a number, such as 1000660000; its group is 0, as on OpenShift, unless UID:GID says another.',
	);
};

const readTolerance: Read<Tolerance> = (text, name) => {
	const hint = 'Write startup=1.5x, memory=1.2x or both with a comma between.';
	const parts = text.split(',').map((part) => /^(startup|memory)=(\d{1,3}(?:\.\d{1,3})?)x$/.exec(part));
	const found = parts.map((part) => [part?.[1], Number(part?.[2])] as const);
	if (found.some(([key, factor]) => key === undefined || factor < 1)) throw impossible(name, text, hint);
	const factors = Object.fromEntries(found) as Partial<Tolerance>;
	return { ...TOLERANCE, ...factors };
};

const compareArguments = {
	a: required('image-a', 'the image that is known'),
	b: required('image-b', 'the image that should do the same'),
	...section('Comparison', {
		runs: option('runs', 'N', 'how often each image is run at least, so that noise is known; default 2', {
			read: readRuns,
			absent: () => 2,
		}),
		ignore: list('ignore', 'TEXT', 'leave out fields whose name, and differences whose value, has this in it'),
		tolerate: option('tolerate', 'LIMITS', 'how much slower and larger B may be; default startup=3x,memory=1.5x', {
			read: readTolerance,
			absent: () => TOLERANCE,
		}),
		readyTimeout: option(
			'ready-timeout',
			'TIME',
			'how long it may take until exposed ports listen; default 30s; a bare number is seconds',
			{
				read: readDuration('Give a time such as 30s or 2m.', { bare: 's', least: 1, most: 2 ** 31 - 1 }),
				absent: () => READY_MS,
			},
		),
		format: choice('format', 'FORMAT', FORMATS, `what is printed: ${listed(FORMATS)}; default text`),
	}),
	...section('Process', {
		user: option('user', 'UID', "who runs both; default the image's own user", { read: readUser }),
		environment: list('env', 'NAME=VALUE', 'environment variable of both', { short: 'e', read: readEnvironment }),
	}),
	limits: {
		memory: sandboxOptions.limits.memory,
		cpus: sandboxOptions.limits.cpus,
		pids: sandboxOptions.limits.pids,
		seccomp: sandboxOptions.limits.seccomp,
	},
	host: hostOptions,
	report: reportOptions,
};

/** `s2oci compare`. */
export const command: Definition<typeof compareArguments> = {
	name: 'compare',
	description:
		'Run two images and say whether they do the same: what listens, answers to HTTP, output, processes, files, exit status, and what the\n' +
		'images themselves say. Each runs in a sandbox without any network but its own loopback. What differs between two runs of one image\n' +
		'is noise, and is left out. Ends with 0 for same, 8 for differs, 9 for cannot tell.',
	examples: [
		{
			description: 'Does the application do the same on the patched builder?',
			command: 's2oci compare registry.example/team/app:1.2 registry.example/team/app:1.2-patched',
		},
		{
			description: 'As OpenShift would run it, for a program',
			command: 's2oci compare --user 1000660000 --format json oci:before oci:after',
		},
	],
	args: compareArguments,
	/** Compares two images; prints what came out on stdout. */
	perform: async ({ value, ...line }, { io, program }) => {
		const names = openImageNames({ env: line.env, program });
		const images = [await names.source(value.a), await names.source(value.b)] as const;
		const request = readCompareRequest({ ...value, a: images[0], b: images[1] }, line);
		await checkHostFiles(request.host);
		return withReport(value.report, io, [...line.events, ...names.notices()], async (emit, signal) => {
			const { compareImages } = await import('../../pipeline/compare/compare.js');
			const comparison = await compareImages(request, emit, signal);
			const render = value.format === 'json' ? comparisonJson : renderComparison;
			return { status: COMPARISON_STATUS[comparison.verdict], line: render(comparison) };
		});
	},
};

/** What `s2oci compare` is asked to do. Throws USAGE or REFERENCE_INVALID. */
export function readCompareRequest(
	{ a, b, host, limits, ...args }: Values<typeof compareArguments>,
	reading: Pick<Reading, 'env'>,
): CompareRequest {
	const { runs, ignore, tolerate, readyTimeout, user, environment } = args;
	return {
		...{ runs, ignore, tolerate, readyTimeout, user, environment },
		host: readHostRequest(host, reading),
		images: [readLocation(a), readLocation(b)],
		limits: { ...NO_LIMITS, ...limits },
	};
}
