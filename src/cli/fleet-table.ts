import type { FleetImage } from '../pipeline/fleet/plan.js';
import { shortDigest } from './format.js';

const MAX_NAME_WIDTH = 60;
const STATE_WIDTH = 7;

/** `images` for people: a line for each, what is to be done first, and how many there are of each kind in the last one. */
export function renderPlan(images: readonly FleetImage[]): string {
	const width = images.reduce((widest, { image }) => Math.min(MAX_NAME_WIDTH, Math.max(widest, image.length)), 0);
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
