import type { EngineBuild } from './engine-build.js';
import { CI } from './engine-names.js';
import { assignment, assignments } from './kubernetes.js';

/** A pipeline of GitLab with the component of s2oci. */
export function toGitlab(build: EngineBuild): object {
	return { include: [{ component: CI.component, inputs: inputsOf(build, (lines) => lines) }] };
}

/** A workflow of GitHub with the action of s2oci. */
export function toGithub(build: EngineBuild): object {
	const inputs = Object.entries(inputsOf(withoutLines(build), (lines) => lines.join('\n')));
	const literal = inputs.map(([name, value]) => [name, typeof value === 'string' ? asLiteral(value) : value]);
	return {
		name: asLiteral(build.name),
		on: { workflow_dispatch: {} },
		permissions: { contents: 'read', packages: 'write' },
		jobs: {
			build: {
				'runs-on': 'ubuntu-latest',
				...(build.deadline !== undefined && { 'timeout-minutes': Math.ceil(build.deadline / 60) }),
				steps: [
					...(build.git === undefined ? [{ uses: 'actions/checkout@v7' }] : []),
					{ uses: CI.action, with: Object.fromEntries(literal) as object },
				],
			},
		},
	};
}

function inputsOf<T>(
	build: EngineBuild,
	list: (lines: readonly string[]) => T,
): Readonly<Record<string, string | boolean | T>> {
	const { git } = build;
	const lines = (name: string, values: readonly string[]) => (values.length === 0 ? {} : { [name]: list(values) });
	const text = (name: string, value: string | undefined) => (value === undefined ? {} : { [name]: value });
	return {
		[CI.image]: build.image,
		[CI.builder]: build.builder,
		...text(CI.source, git?.url),
		...text(CI.ref, git?.ref),
		...text(CI.contextDir, build.contextDir),
		...lines(CI.environment, assignments(build)),
		...lines(CI.labels, build.labels.map(assignment)),
		...text(CI.scriptsUrl, build.scriptsUrl),
		...text(CI.pullPolicy, build.pullPolicy),
		...(build.incremental && { [CI.incremental]: true }),
	};
}

/** A list is lines here, so that a value with several would be several values. */
function withoutLines(build: EngineBuild): EngineBuild {
	const isLine = ({ value = '' }: { readonly value: string | undefined }) => !/[\r\n]/.test(value);
	return { ...build, environment: build.environment.filter(isLine), labels: build.labels.filter(isLine) };
}

/** A value is no expression, whoever wrote it: `${{` is what GitHub evaluates. */
function asLiteral(value: string): string {
	return value.replaceAll('${{', "${{ '${{' }}");
}
