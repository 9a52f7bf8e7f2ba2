import { BuildError } from '../../../errors.js';
import { firstOf } from './words.js';
import type { EngineWork, Work } from './work.js';

/** docs.github.com/actions "matrix: a matrix generates at most 256 jobs per workflow run". */
const MAX_JOBS = 256;

/** The value of a job's `strategy.matrix`: `image` is a variable of it. The workflow has all else: the runner, and how many run at once. */
export function renderGithub(work: Work): EngineWork {
	if (work.maxParallel !== undefined) {
		throw new BuildError('USAGE', '--max-parallel is not in a matrix: GitHub reads it beside that', {
			hint: `Write it into the workflow: strategy: { max-parallel: ${work.maxParallel}, matrix: … }`,
		});
	}
	const { images, left } = firstOf(work);
	const include = images.slice(0, MAX_JOBS).map((image) => ({ image }));
	return { document: { include }, left: left + images.length - include.length };
}
