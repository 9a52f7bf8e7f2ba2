import type { Credentials } from './credential-helper.js';

/** Credentials of a job, and in words that can be printed where they are. */
export interface JobCredentials {
	readonly credentials: Credentials;
	readonly source: string;
	readonly ofJob: true;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Variables of one engine: the registry that credentials are for, or its one name, and the credentials. */
interface Given {
	readonly isJob: (env: Environment) => boolean;
	readonly host: (env: Environment) => string | undefined;
	readonly user: string;
	readonly password: string;
}

const isGitlab = (env: Environment) => env['GITLAB_CI'] === 'true';

/** GitLab: docs/ci/variables/predefined_variables.md. GitHub: the package registry takes the job's token, no other registry may see it. */
const GIVEN: readonly Given[] = [
	{
		isJob: isGitlab,
		host: (env) => env['CI_REGISTRY'],
		user: 'CI_REGISTRY_USER',
		password: 'CI_REGISTRY_PASSWORD',
	},
	{
		isJob: isGitlab,
		host: (env) => env['CI_DEPENDENCY_PROXY_SERVER'],
		user: 'CI_DEPENDENCY_PROXY_USER',
		password: 'CI_DEPENDENCY_PROXY_PASSWORD',
	},
	{
		isJob: (env) => env['GITHUB_ACTIONS'] === 'true',
		host: () => 'ghcr.io',
		user: 'GITHUB_ACTOR',
		password: 'GITHUB_TOKEN',
	},
];

/** What the CI job of `env` was given for exactly the registry `host`; undefined when that is nothing. */
export function jobCredentials(host: string, env: Environment): JobCredentials | undefined {
	for (const { isJob, host: hostOf, user, password } of GIVEN) {
		const [username, secret, registry] = [env[user], env[password], hostOf(env)];
		if (!isJob(env) || !username || !secret || !registry || !isSame(registry, host)) continue;
		const credentials = { type: 'basic', username, password: secret } as const;
		return { credentials, source: `the variables ${user} and ${password} of this job`, ofJob: true };
	}
	return undefined;
}

/** The dependency proxy has the port of https in its name, which images may leave out. */
function isSame(registry: string, host: string): boolean {
	const plain = (name: string) => name.toLowerCase().replace(/:443$/, '');
	return plain(registry) === plain(host);
}
