import type { Comparison } from '../pipeline/compare/compare.js';
import type { Difference } from '../pipeline/compare/verdict.js';
import { redact } from '../redact.js';

const WIDTH = 160;
const NOTHING = '(nothing)';

/** A comparison for people: the verdict, then a line for each difference in order of weight, then what was left out. */
export function renderComparison(comparison: Comparison): string {
	const { verdict, differences, underneath, masked, incomparable, ignored, images, runs, network } = comparison;
	const [a, b] = images;
	return [
		`${verdict}: ${count(differences.length, 'difference')} in ${count(runs, 'run')} of each image`,
		`A is ${redact(a.name)} (${a.digest})`,
		`B is ${redact(b.name)} (${b.digest})`,
		...differences.map(describeDifference),
		...underneath.map((difference) => `underneath, not counted: ${describeDifference(difference)}`),
		...masked.map(
			({ field, examples }) => `not the same in every run, masked: ${field}: ${examples.map(value).join(', ')}`,
		),
		...incomparable.map((field) => `cannot be compared: ${field}`),
		...ignored.map((field) => `ignored: ${field}`),
		...(network === 'host' ? ['both ran on the network of this host, one after the other'] : []),
	]
		.map(redact)
		.join('\n');
}

/** The same for programs. Text of images is as it was, so it may hold anything. */
export function comparisonJson(comparison: Comparison): string {
	return JSON.stringify(comparison);
}

function describeDifference({ field, a, b }: Difference): string {
	return `${field}: A ${value(a)}; B ${value(b)}`;
}

function value(text: string | undefined): string {
	return text === undefined ? NOTHING : JSON.stringify(text.length > WIDTH ? `${text.slice(0, WIDTH)}...` : text);
}

function count(number: number, noun: string): string {
	return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
