import type { FleetImage } from '../pipeline/fleet/plan.js';
import type { FleetOutcome } from '../pipeline/fleet/run.js';
import { formatDuration, shortDigest } from './format.js';

const MAX_NAME_WIDTH = 60;
const STATE_WIDTH = 7;

/** `images` for people: a line for each, what is to be done first, and how many there are of each kind in the last one. */
export function renderPlan(images: readonly FleetImage[]): string {
	const width = widthOf(images);
	const lines = (['stale', 'unknown', 'fresh'] as const).flatMap((state) =>
		images.filter((each) => each.state === state).map((each) => renderImage(each, width)),
	);
	return [...lines, summarize(images)].join('\n');
}

function renderImage(each: FleetImage, width: number): string {
	const { image, state, reason } = each;
	const why = [...movesOf(each), ...(reason === undefined ? [] : [reason])].join('; ').replace(/\s+/g, ' ');
	const obstacle = state === 'stale' && !each.rebuild ? 'not to be rebuilt: ' : '';
	return `${state.padEnd(STATE_WIDTH)}  ${image.padEnd(width)}  ${obstacle}${why}`.trimEnd();
}

function movesOf({ madeFrom = [] }: FleetImage): readonly string[] {
	return madeFrom.flatMap(({ name, digest, now }) => {
		if (now === undefined) return [];
		return [`${name} was ${digest === undefined ? 'another' : shortDigest(digest)} and is ${shortDigest(now)}`];
	});
}

/** How many `images` there are of each kind, in one line. */
export function summarize(images: readonly FleetImage[]): string {
	const count = (state: FleetImage['state']) => images.filter((each) => each.state === state).length;
	const blocked = images.filter(({ state, rebuild }) => state === 'stale' && !rebuild).length;
	const notes = blocked === 0 ? '' : ` (${blocked} of them not to be rebuilt)`;
	const total = images.length === 1 ? '1 image' : `${images.length} images`;
	return `${total}: ${count('stale')} stale${notes}, ${count('fresh')} fresh, ${count('unknown')} unknown`;
}

/** What became of `outcomes` for people: a line for each but what is fresh, what failed last, and then how many there are of each kind. */
export function renderRun(outcomes: readonly FleetOutcome[]): string {
	const width = widthOf(outcomes);
	const lines = (['kept', 'rebuilt', 'left', 'failed'] as const).flatMap((kind) =>
		outcomes
			.filter(({ outcome, state }) => outcome === kind && state !== 'fresh')
			.map((each) => `${kind.padEnd(STATE_WIDTH)}  ${each.image.padEnd(width)}  ${whyOf(each)}`.trimEnd()),
	);
	const count = (kind: FleetOutcome['outcome']) => outcomes.filter(({ outcome }) => outcome === kind).length;
	const total = outcomes.length === 1 ? '1 image' : `${outcomes.length} images`;
	const sum = `${total}: ${count('rebuilt')} rebuilt, ${count('failed')} failed, ${count('left')} not begun, ${count('kept')} kept`;
	return [...lines, sum].join('\n');
}

function whyOf({ outcome, ms = 0, rebuilt, error, reason = '' }: FleetOutcome): string {
	if (outcome === 'rebuilt') return `${shortDigest(String(rebuilt))} in ${formatDuration(ms)}`;
	return (error?.message ?? reason).replace(/\s+/g, ' ');
}

function widthOf(images: readonly FleetImage[]): number {
	return images.reduce((widest, { image }) => Math.min(MAX_NAME_WIDTH, Math.max(widest, image.length)), 0);
}
