import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { absolutePath } from '../host-path.js';

/** Engines that read what a step leaves for the next one. */
const CI_ENGINES = ['github', 'gitlab', 'tekton', 'shipwright', 'jenkins'] as const;

/** What `--ci-output` takes. */
export const CI_CHOICES = ['auto', ...CI_ENGINES, 'none'] as const;

export type CiEngine = (typeof CI_ENGINES)[number];

/** Where a job is told what was built. */
export interface CiOutput {
	readonly engine: CiEngine;
	/** Absolute: of files, or of the directory of results of Tekton, on which Shipwright runs. For GitHub, the outputs of the step first, then its summary. */
	readonly paths: readonly string[];
	/** Whether the user named the engine: then it is an error when nothing can be written. */
	readonly isAsked: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

const TEKTON_RESULTS = '/tekton/results';

/** The engine that runs this job, by the variables that it documents, and Tekton by its directory of results. */
export function detectEngine(env: Environment, results = TEKTON_RESULTS): CiEngine | undefined {
	if (env['GITHUB_ACTIONS'] === 'true') return 'github';
	if (env['GITLAB_CI'] === 'true') return 'gitlab';
	if (env['JENKINS_URL'] && env['BUILD_TAG']) return 'jenkins';
	return existsSync(results) ? 'tekton' : undefined;
}

/** What `--ci-output` and `--ci-output-path` say, which is nothing outside of CI. Throws USAGE as {@link absolutePath}. */
export function readCiOutput(
	{ engine: asked, path }: { readonly engine: CiEngine | 'auto' | 'none'; readonly path: string | undefined },
	env: Environment,
): CiOutput | undefined {
	const engine = asked === 'auto' ? detectEngine(env) : asked;
	if (engine === undefined || engine === 'none') return undefined;
	return { engine, paths: outputPaths(engine, path, env), isAsked: asked !== 'auto' || path !== undefined };
}

/** Where `engine` looks, or `path` where the user says so; none of GitHub's files when the runner names none. Throws USAGE as {@link absolutePath}. */
function outputPaths(engine: CiEngine, path: string | undefined, env: Environment): readonly string[] {
	const fileIn = (directory: string | undefined, name: string) => [absolutePath(path ?? join(directory ?? '.', name))];
	switch (engine) {
		case 'github':
			return [path ?? env['GITHUB_OUTPUT'], env['GITHUB_STEP_SUMMARY']].flatMap((each) =>
				each ? [absolutePath(each)] : [],
			);
		case 'gitlab':
			return fileIn(env['CI_PROJECT_DIR'], 's2oci.env');
		case 'jenkins':
			return fileIn(env['WORKSPACE'], 's2oci.properties');
		case 'tekton':
		case 'shipwright':
			return [absolutePath(path ?? TEKTON_RESULTS)];
	}
}
