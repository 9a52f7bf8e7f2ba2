import { formatImageLocation, type ImageLocation } from '../../content/location.js';
import { BuildError } from '../../errors.js';
import type { Digest } from '../../oci/digest.js';
import { isInPlace } from '../../sandbox/ladder.js';
import type { Emit } from '../events.js';
import type { HostRequest } from '../request.js';
import { settleStore } from '../store/settle-store.js';
import { freePort } from './free-port.js';
import { type OpenRun, openRun, type RunOptions } from './one-run.js';
import type { Transcript } from './transcript.js';
import { type CompareOptions, judge, mayBeNoise, type Verdict } from './verdict.js';

/** What a comparison is told. */
export interface CompareRequest extends CompareOptions, RunOptions {
	readonly host: HostRequest;
	readonly images: readonly [ImageLocation, ImageLocation];
	/** How often each image is run at least. */
	readonly runs: number;
}

/** An image that was compared. */
export interface ComparedImage {
	readonly name: string;
	readonly digest: Digest;
}

/** What came out, and of what. */
export interface Comparison extends Verdict {
	readonly images: readonly [ComparedImage, ComparedImage];
	/** How often each was run. */
	readonly runs: number;
	/** Whether each run had a network namespace of its own. */
	readonly network: 'own' | 'host';
}

/** How many runs of each image more there are at most, when what they differ in may be noise. */
const MORE_RUNS = 3;

/**
 * Runs both images, each at least `runs` times, and says whether they do the same. Where each can have a network namespace, A and B run at
 * the same time; elsewhere one after the other on the host's network, with PORT set, and a warning says so. Differences that may be noise
 * are looked for in up to 3 more runs. Throws what `run` throws, and HOST_IN_PLACE, HOST_NO_NAMESPACES where nothing can be observed.
 */
export async function compareImages(asked: CompareRequest, emit: Emit, signal: AbortSignal): Promise<Comparison> {
	const request = { ...asked, host: settleStore(asked.host) };
	const transcripts: readonly [Transcript[], Transcript[]] = [[], []];
	let first: RoundEnd | undefined;
	let verdict: Verdict | undefined;
	const port = String(await freePort());
	for (let round = 1; round <= request.runs + MORE_RUNS; round++) {
		if (round > request.runs && (verdict === undefined || !mayBeNoise(verdict))) break;
		const end = await runBoth(request, { isFirst: first === undefined, port }, emit, signal);
		first ??= end;
		for (const side of [0, 1] as const) {
			expectSame(first.images[side], end.images[side]);
			transcripts[side].push(end.transcripts[side]);
		}
		if (round >= request.runs) verdict = judge(...transcripts, request);
		emit({ type: 'log', level: 1, message: `run ${round}: ${describeRound(round, request.runs, verdict)}` });
	}
	if (first === undefined || verdict === undefined) throw new Error('nothing was run');
	const image = judge([first.config[0]], [first.config[1]], request);
	return { ...join(verdict, image), images: first.images, runs: transcripts[0].length, network: first.network };
}

function describeRound(round: number, runs: number, verdict: Verdict | undefined): string {
	if (verdict === undefined || round < runs) return 'both images have run';
	return mayBeNoise(verdict) ? 'both images have run; what they differ in may be noise' : 'both images have run';
}

/** What was observed when it ran goes before what it says of itself. */
function join(run: Verdict, image: Verdict): Verdict {
	const verdicts = [run.verdict, image.verdict];
	return {
		verdict: (['differs', 'cannot tell'] as const).find((word) => verdicts.includes(word)) ?? 'same',
		differences: [...run.differences, ...image.differences],
		underneath: image.underneath,
		masked: run.masked,
		incomparable: [...run.incomparable, ...image.incomparable],
		ignored: [...run.ignored, ...image.ignored],
	};
}

interface RoundEnd extends Pick<Comparison, 'images' | 'network'> {
	readonly transcripts: readonly [Transcript, Transcript];
	readonly config: readonly [Transcript, Transcript];
}

async function runBoth(
	request: CompareRequest,
	{ isFirst, port }: { readonly isFirst: boolean; readonly port: string },
	emit: Emit,
	signal: AbortSignal,
): Promise<RoundEnd> {
	// Later runs meet what the first one met.
	const told: Emit = isFirst ? emit : () => undefined;
	const opened = await Promise.allSettled(request.images.map((image) => openRun(image, request, told, signal)));
	try {
		const runs = opened.map((each) => {
			if (each.status === 'rejected') throw each.reason as Error;
			return each.value;
		});
		return await observeBoth(runs as [OpenRun, OpenRun], request, { isFirst, port, told }, signal);
	} finally {
		const started = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
		await Promise.all(started.map((run) => run[Symbol.asyncDispose]()));
	}
}

async function observeBoth(
	[a, b]: readonly [OpenRun, OpenRun],
	request: CompareRequest,
	{ isFirst, port, told }: { readonly isFirst: boolean; readonly port: string; readonly told: Emit },
	signal: AbortSignal,
): Promise<RoundEnd> {
	const [locationA, locationB] = request.images;
	const isShared = !a.worker.mounts;
	refuseBlind(a);
	const environment = isShared ? [...request.environment, { name: 'PORT', value: port }] : request.environment;
	const options = { ...request, environment };
	if (isShared) told({ type: 'warning', code: 'COMPARE', message: sharedNetwork(port) });
	const transcripts = isShared
		? ([await a.observe(options, signal), await b.observe(options, signal)] as const)
		: await Promise.all([a.observe(options, signal), b.observe(options, signal)]);
	return {
		transcripts,
		config: isFirst ? [await a.describe(), await b.describe()] : [[], []],
		images: [
			{ name: formatImageLocation(locationA), digest: a.digest },
			{ name: formatImageLocation(locationB), digest: b.digest },
		],
		network: isShared ? 'host' : 'own',
	};
}

function sharedNetwork(port: string): string {
	return `this host gives us no network namespace: the images run one after the other on its own network, with PORT=${port}`;
}

/** Throws where the processes of a sandbox cannot be seen. */
function refuseBlind({ worker }: OpenRun): void {
	if (isInPlace(worker.rootfs)) {
		throw new BuildError('HOST_IN_PLACE', 'two images cannot be compared in a job that can only use its own root', {
			hint: 'Compare them on a host that gives namespaces, or as root; s2oci doctor says what is missing here.',
		});
	}
	if (!worker.mounts || worker.proc === 'own') return;
	throw new BuildError(
		'HOST_NO_NAMESPACES',
		'the container of this job masks parts of /proc, so no sandbox can be observed',
		{
			hint: 'Run the job with procMount: Unmasked (Kubernetes), --security-opt systempaths=unconfined (Docker) or unmask=ALL (Podman).',
		},
	);
}

function expectSame(before: ComparedImage, now: ComparedImage): void {
	if (before.digest === now.digest) return;
	throw new BuildError('IMAGE_INVALID', `${before.name} was ${before.digest} and is ${now.digest} now`, {
		hint: 'Somebody pushed it meanwhile. Compare again, or name both images by digest.',
	});
}
