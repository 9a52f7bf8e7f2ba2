import type { HostFacts } from './facts.js';

/** In the order in which a fix is worth reading: who gave us this job, then what it runs in, then the distribution. */
export const ENVIRONMENTS = ['github', 'gitlab', 'openshift', 'kubernetes', 'container', 'rhel', 'debian'] as const;

/** A kind of place that s2oci runs in, for which there is a way to fix things. */
export type EnvironmentName = (typeof ENVIRONMENTS)[number];

type Evidence = Pick<HostFacts, 'distributions' | 'inContainer' | 'serviceAccount'>;

/** Where we seem to be, in the order of {@link ENVIRONMENTS}. */
export function detectEnvironments(
	env: Readonly<Record<string, string | undefined>>,
	{ distributions, inContainer, serviceAccount }: Evidence,
): readonly EnvironmentName[] {
	const isPod = serviceAccount || (env['KUBERNETES_SERVICE_HOST'] ?? '') !== '';
	const isRhel = distributions.some((id) => ['rhel', 'fedora', 'centos'].includes(id));
	const signs: Readonly<Record<EnvironmentName, boolean>> = {
		github: env['GITHUB_ACTIONS'] === 'true',
		gitlab: env['GITLAB_CI'] === 'true',
		openshift: Object.keys(env).some((name) => name.startsWith('OPENSHIFT_')) || (isPod && isRhel),
		kubernetes: isPod,
		container: inContainer && !isPod,
		rhel: isRhel,
		debian: distributions.some((id) => ['debian', 'ubuntu'].includes(id)),
	};
	return ENVIRONMENTS.filter((name) => signs[name]);
}
