import { jobImageOf, shortHash } from './words.js';
import type { EngineWork, Work } from './work.js';

/** Longer names are cut by GitLab (docs.gitlab.com/ci/jobs "Job name limitations"). */
const MAX_JOB_NAME = 255;

/**
 * A child pipeline with a job for each image, which gets it by a variable. The stage of the canaries is before that of all others. What may not
 * run at the same time shares a resource group, as many of which there are as jobs may run (docs.gitlab.com/ci/resource_groups).
 */
export function renderGitlab(work: Work): EngineWork {
	const { images, canary = 0, maxParallel, options } = work;
	const words = [...options, '--pull-policy', 'always'].map(quoted).join(' ');
	const jobs = images.map((image, index): readonly [string, object] => [
		jobName(image),
		{
			extends: '.rebuild',
			stage: index < canary ? 'canary' : 'rebuild',
			variables: { FLEET_IMAGE: image },
			...(maxParallel !== undefined && { resource_group: `s2oci-fleet-${index % maxParallel}` }),
		},
	]);
	const nothing: readonly [string, object] = [
		'nothing to rebuild',
		{ extends: '.rebuild', stage: 'rebuild', script: ['true'] },
	];
	const document = {
		stages: ['canary', 'rebuild'],
		workflow: { rules: [{ when: 'always' }] },
		'.rebuild': {
			image: { name: jobImageOf(work, 'gitlab'), entrypoint: [''] },
			script: [`s2oci rebuild "$FLEET_IMAGE" ${words}`],
		},
		...Object.fromEntries(jobs.length === 0 ? [nothing] : jobs),
	};
	return { document, left: 0 };
}

function jobName(image: string): string {
	const name = `rebuild ${image}`;
	return name.length <= MAX_JOB_NAME ? name : `${name.slice(0, MAX_JOB_NAME - 13)} ${shortHash(image)}`;
}

/** Options are ours and those of the command line; a host or a platform has no quote. */
function quoted(word: string): string {
	return `'${word.replaceAll("'", `'\\''`)}'`;
}
