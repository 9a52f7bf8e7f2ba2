import { BuildError, messageOf } from '../../errors.js';
import { formatPlatform, hostPlatform } from '../../oci/platform.js';
import { parseReference } from '../../oci/reference.js';
import type { Emit } from '../../pipeline/events.js';
import { ENGINES, type EngineName, type Work } from '../../pipeline/fleet/engines/work.js';
import type { FleetImage, FleetRequest } from '../../pipeline/fleet/plan.js';
import type { FleetOutcome } from '../../pipeline/fleet/run.js';
import type { HostRequest } from '../../pipeline/request.js';
import { readSmallFile } from '../../small-file.js';
import { checkHostFiles } from '../check-request.js';
import { renderPlan, renderRun, summarize } from '../fleet-table.js';
import { hostOptions, readHostRequest, reportOptions } from '../host-options.js';
import { flag, list, option, type Read, required, section, several, type Values } from '../options.js';
import { withReport } from '../outcome.js';
import type { Definition } from '../parse-command.js';
import { impossible, listed, oneOf, readNumber, readPath } from '../values.js';

const ACTIONS = ['plan', 'run'] as const;
const MAX_LIST_BYTES = 64 * 1024 * 1024;

const readCount = readNumber(/^\d{1,5}$/, 'Give a number of images.');

const readJobImage: Read<string> = (text) => {
	parseReference(text);
	return text;
};

const readSecretName: Read<string> = (text, name) => {
	if (/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/.test(text)) return text;
	throw impossible(name, text, 'Give the name of a secret of the type kubernetes.io/dockerconfigjson.');
};

const fleetArguments = {
	action: required('plan|run', 'what is done', [...ACTIONS]),
	names: several('image', 'images to look at; without any, they are read from standard input'),
	...section('Images', {
		from: option('from', 'FILE', 'names of images, one a line, or what kubectl get -o json prints; - for stdin', {
			offer: 'file',
			read: (text) => (text === '-' ? text : readPath(text)),
		}),
		repositories: list('repository', 'NAME', 'all tags of a repository'),
	}),
	work: section('Work', {
		engine: option('for', 'ENGINE', `print work for an engine that rebuilds what is stale: ${listed(ENGINES)}`, {
			offer: ENGINES,
			read: (text, name): EngineName => oneOf(name, ENGINES, text),
		}),
		jobs: option('jobs', 'N', 'run: how many are rebuilt at the same time, here; default 2', {
			read: readCount,
		}),
		canary: option('canary', 'N', 'so many are rebuilt first, and the others after these succeeded', {
			read: readCount,
		}),
		maxParallel: option('max-parallel', 'N', 'how many are rebuilt at the same time', { read: readCount }),
		jobImage: option('job-image', 'IMAGE', 'the image with s2oci in which the jobs run', { read: readJobImage }),
		credentials: option('credentials', 'SECRET', "the cluster's secret with the credentials for registries", {
			read: readSecretName,
		}),
	}),
	json: flag('json', 'print one JSON document'),
	host: hostOptions,
	report: reportOptions,
};

/** `s2oci fleet`. */
export const command: Definition<typeof fleetArguments> = {
	name: 'fleet',
	description:
		'Find the images whose builder has moved on: plan prints a table of them, or work for an engine that builds them again; run builds them\n' +
		'here. What was rebuilt is fresh the next time, also when a run was killed.',
	examples: [
		{
			description: 'Which images of a cluster are behind their builders?',
			command: 'kubectl get deployments,cronjobs -A -o json | s2oci fleet plan',
		},
		{
			description: 'All tags of a repository, for a program',
			command: 's2oci fleet plan --repository registry.example/team/app --json',
		},
		{
			description: 'A child pipeline for GitLab that rebuilds 2 images first, then 10 at the same time',
			command:
				's2oci fleet plan --from images.txt --for gitlab --job-image registry.example/ci/s2oci --canary 2 --max-parallel 10 > fleet.yml',
		},
		{
			description: 'Rebuild what is stale here, one of them first',
			command: 's2oci fleet run --from images.txt --jobs 4 --canary 1',
		},
	],
	args: fleetArguments,
	/** Prints what was found or done; resolves with 0 whatever a plan finds, and with 6 when a run leaves an image that is stale. */
	perform: async ({ value, ...line }, { io }) => {
		const action = oneOf('s2oci fleet', ACTIONS, value.action);
		checkAction(action, value);
		const host = readHostRequest(value.host, line);
		await checkHostFiles(host);
		const names = await readNames(value, host.stdin);
		const request: FleetRequest = { network: host, platform: host.platform, names, repositories: value.repositories };
		return withReport(value.report, io, line.events, async (emit, signal) => {
			const { planFleet } = await import('../../pipeline/fleet/plan.js');
			const images = await planFleet(request, emit, signal);
			if (action === 'plan') return { status: 0, line: await printPlan(images, value, emit) };
			const outcomes = await runHere(images, value.work, host, emit, signal);
			io.stdout.write(`${value.json ? renderJson(outcomes) : renderRun(outcomes)}\n`);
			signal.throwIfAborted();
			const error = failureOf(outcomes);
			return error === undefined ? { status: 0 } : { status: undefined, error };
		});
	},
};

type FleetArguments = Values<typeof fleetArguments>;

/** What an engine is told of `images`: those that a rebuild brings up to date, in their order. */
export function workOf(
	images: readonly FleetImage[],
	{ work: { canary, maxParallel, jobImage, credentials }, host }: Pick<FleetArguments, 'work' | 'host'>,
): Work {
	const here = formatPlatform(hostPlatform(process.arch));
	const wanted = formatPlatform(host.platform);
	const options = [
		...host.insecureRegistries.flatMap((registry) => ['--insecure-registry', registry]),
		...(wanted === here ? [] : ['--platform', wanted]),
	];
	const stale = images.filter(({ rebuild }) => rebuild).map(({ image }) => image);
	return { images: stale, canary, maxParallel, jobImage, credentials, options };
}

async function printPlan(images: readonly FleetImage[], value: FleetArguments, emit: Emit): Promise<string> {
	const { engine } = value.work;
	if (engine === undefined) return value.json ? renderJson(images) : renderPlan(images);
	const { renderWork } = await import('../../pipeline/fleet/engines/render.js');
	const { text, left } = renderWork(engine, workOf(images, value));
	emit({ type: 'log', level: 1, message: summarize(images) });
	if (left > 0) emit({ type: 'log', level: 0, message: `${left} are left for the next plan, when these are fresh` });
	return text;
}

function renderJson(images: readonly FleetImage[]): string {
	return JSON.stringify({ images }, undefined, '\t');
}

/** Builds what is stale in this process, each as `s2oci rebuild` does without any option but those of the host. */
async function runHere(
	images: readonly FleetImage[],
	{ jobs = 2, canary = 0 }: FleetArguments['work'],
	host: HostRequest,
	emit: Emit,
	signal: AbortSignal,
): Promise<readonly FleetOutcome[]> {
	emit({ type: 'log', level: 1, message: summarize(images) });
	const { runFleet } = await import('../../pipeline/fleet/run.js');
	const { rebuild } = await import('../../pipeline/rebuild-image.js');
	const { command: rebuildCommand, readRebuildRequest } = await import('./rebuild.js');
	const { parseCommand } = await import('../parse-command.js');
	const readName = (name: string) => Promise.resolve(name);
	return runFleet(
		images,
		{
			...{ jobs, canary },
			rebuild: async (image, tell, stop) => {
				const words = [image, '--pull-policy', 'always', '--runtime-pull-policy', 'always'];
				const parsed = await parseCommand(rebuildCommand, words, { env: host.env });
				if (parsed.type === 'help') throw new Error('no words ask for help');
				return rebuild({ ...readRebuildRequest(parsed.value, parsed), host, readName }, tell, stop);
			},
		},
		emit,
		signal,
	);
}

function failureOf(outcomes: readonly FleetOutcome[]): BuildError | undefined {
	const count = (kind: FleetOutcome['outcome']) => outcomes.filter(({ outcome }) => outcome === kind).length;
	const [failed, left] = [count('failed'), count('left')];
	if (failed + left === 0) return undefined;
	const message = `${failed} of ${outcomes.length} images failed${left === 0 ? '' : `, and ${left} were not begun`}`;
	return new BuildError('FLEET_FAILED', message, {
		hint: 'The report says why for each. Run it again for those: what was rebuilt is fresh.',
	});
}

/** Throws USAGE for options of the other action, and for two forms of one answer. */
function checkAction(action: (typeof ACTIONS)[number], { work, json }: FleetArguments): void {
	const { engine, maxParallel, jobImage, credentials, jobs } = work;
	const given = { for: engine, 'max-parallel': maxParallel, 'job-image': jobImage, credentials };
	const other = action === 'plan' ? { jobs } : given;
	const [first] = Object.entries(other).filter(([, value]) => value !== undefined);
	if (first !== undefined) {
		const hint =
			action === 'plan'
				? 'It is for s2oci fleet run.'
				: 'It is for s2oci fleet plan --for ENGINE; here it is --jobs N.';
		throw new BuildError('USAGE', `s2oci fleet ${action} does not take --${first[0]}`, { hint });
	}
	if (json && engine !== undefined) {
		throw new BuildError('USAGE', '--json and --for are two forms of the same plan', {
			hint: 'Leave one of them out.',
		});
	}
}

async function readNames(
	{ names, from, repositories }: Pick<FleetArguments, 'names' | 'from' | 'repositories'>,
	stdin: () => NodeJS.ReadableStream,
): Promise<readonly string[]> {
	if (from === undefined && names.length + repositories.length > 0) return names;
	const isStdin = from === undefined || from === '-';
	const what = isStdin ? 'standard input' : JSON.stringify(from);
	const text = isStdin ? await readStdin(stdin(), from) : await readFile(from);
	const { readImageList } = await import('../../pipeline/fleet/image-list.js');
	const listed = readImageList(text, what);
	if (from === undefined && listed.length === 0) throw nothingNamed();
	return [...names, ...listed];
}

async function readFile(path: string): Promise<string> {
	try {
		return (await readSmallFile(path, MAX_LIST_BYTES)).toString('utf8');
	} catch (cause) {
		throw new BuildError('USAGE', `--from ${JSON.stringify(path)} cannot be read: ${messageOf(cause)}`, {
			hint: 'Name a file with names of images, or give them on standard input with --from -.',
			cause,
		});
	}
}

async function readStdin(stdin: NodeJS.ReadableStream, from: string | undefined): Promise<string> {
	if (from === undefined && 'isTTY' in stdin && stdin.isTTY === true) throw nothingNamed();
	const chunks: Buffer[] = [];
	let size = 0;
	for await (const chunk of stdin) {
		const bytes = Buffer.from(chunk);
		chunks.push(bytes);
		size += bytes.length;
		if (size <= MAX_LIST_BYTES) continue;
		throw new BuildError('USAGE', `standard input has more than ${MAX_LIST_BYTES / 1024 / 1024} MiB`, {
			hint: 'Give the names of images, or plan the fleet in parts.',
		});
	}
	return Buffer.concat(chunks).toString('utf8');
}

function nothingNamed(): BuildError {
	return new BuildError('USAGE', 's2oci fleet needs the images to look at', {
		hint: 'Name them, give them on standard input, one a line, or name a repository with --repository.',
	});
}
