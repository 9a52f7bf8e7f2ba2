import { isBuildError, messageOf } from '../../errors.js';
import type { Digest } from '../../oci/digest.js';
import { redact } from '../../redact.js';
import type { BuildEvent, Emit } from '../events.js';
import type { BuildOutcome, BuildResult } from '../result.js';
import { inParallel } from './parallel.js';
import type { FleetImage } from './plan.js';

/** How the images of a fleet are built again. */
export interface FleetRun {
	/** How many at the same time. */
	readonly jobs: number;
	/** How many are built before all others; when one of them fails, nothing else is. */
	readonly canary: number;
	/** Builds an image again and pushes it. Never rejects. */
	readonly rebuild: (image: string, emit: Emit, signal: AbortSignal) => Promise<BuildOutcome>;
}

/** An image of a fleet, and what became of it. `--json` prints these, so it is documented API (docs/fleet.md). */
export interface FleetOutcome extends FleetImage {
	/** `kept`: there was nothing to do, or nothing can be done; `left`: it was not begun. A look that failed is `failed`, too. */
	readonly outcome: 'rebuilt' | 'failed' | 'left' | 'kept';
	/** Manifest digest of what was built. */
	readonly rebuilt?: Digest;
	readonly ms?: number;
	readonly error?: BuildResult['error'];
}

/** Of what scripts print, so much is shown when they fail, in bytes. */
const MAX_TAIL = 4096;

/**
 * Builds what is stale in `images`, in their order; resolves with all of them. One that fails stops no other, but a canary. Nothing is
 * kept besides what is pushed: what was rebuilt is fresh in the next plan, and what was not is stale still, whenever this process is killed.
 */
export async function runFleet(
	images: readonly FleetImage[],
	{ jobs, canary, rebuild }: FleetRun,
	emit: Emit,
	signal: AbortSignal,
): Promise<readonly FleetOutcome[]> {
	const outcomes = new Map(images.map((each) => [each.image, untouched(each)]));
	const stale = images.filter((each) => each.rebuild);
	let begun = 0;
	const one = async (each: FleetImage) => {
		if (signal.aborted) return;
		const place = `${(begun += 1)} of ${stale.length}`;
		emit({ type: 'log', level: 1, message: `[${place}] rebuilding ${each.image}` });
		const outcome = await rebuildOne(each, rebuild, emit, signal);
		outcomes.set(each.image, outcome);
		emit({ type: 'log', level: 0, message: `[${place}] ${each.image} ${describe(outcome)}` });
	};
	await inParallel(jobs, stale.slice(0, canary), one);
	const isSound = ![...outcomes.values()].some((each) => each.rebuild && each.outcome === 'failed');
	if (isSound) await inParallel(jobs, stale.slice(canary), one);
	else emit({ type: 'log', level: 0, message: 'a canary failed, so that no other image is rebuilt' });
	return [...outcomes.values()];
}

function untouched(each: FleetImage): FleetOutcome {
	return { ...each, outcome: each.rebuild ? 'left' : each.code === undefined ? 'kept' : 'failed' };
}

async function rebuildOne(
	each: FleetImage,
	rebuild: FleetRun['rebuild'],
	emit: Emit,
	signal: AbortSignal,
): Promise<FleetOutcome> {
	const began = performance.now();
	const tail = tailOf(each.image, emit);
	const { result, error } = await rebuild(each.image, tail.emit, signal);
	const ms = Math.round(performance.now() - began);
	if (error === undefined) return { ...each, outcome: 'rebuilt', ms, ...(result.digest && { rebuilt: result.digest }) };
	tail.show();
	const told = isBuildError(error) ? result.error : { code: 'BUG', message: redact(messageOf(error)) };
	return { ...each, outcome: 'failed', ms, ...(told !== undefined && { error: told }) };
}

/** Several builds share one report: of each, warnings are passed on with the image's name, and the end of its output once it failed. */
function tailOf(image: string, emit: Emit): { readonly emit: Emit; readonly show: () => void } {
	let tail = Buffer.alloc(0);
	const listen = (event: BuildEvent) => {
		if (event.type === 'warning') emit({ ...event, message: `${image}: ${event.message}` });
		if (event.type === 'output') tail = Buffer.from(Buffer.concat([tail, event.chunk]).subarray(-MAX_TAIL));
	};
	const show = () => {
		const lines = redact(tail.toString('utf8')).trimEnd().split('\n');
		for (const line of lines.filter((each) => each !== '')) {
			emit({ type: 'log', level: 0, message: `${image}: ${line}` });
		}
	};
	return { emit: listen, show };
}

function describe({ outcome, ms = 0, error, rebuilt }: FleetOutcome): string {
	const time = `${(ms / 1000).toFixed(1)} s`;
	return outcome === 'rebuilt'
		? `is ${String(rebuilt)} now, after ${time}`
		: `failed after ${time}: ${error?.message ?? ''}`;
}
