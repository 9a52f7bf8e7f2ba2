import { CI } from '../engine-names.js';
import type { EngineBuild } from './engine-build.js';
import { assignment, assignments } from './kubernetes.js';

/** A pipeline of GitLab with the component of s2oci. */
export function toGitlab(build: EngineBuild): object {
	return { include: [{ component: CI.component, inputs: inputsOf(build, withoutVariables) }] };
}

/** A workflow of GitHub with the action of s2oci. */
export function toGithub(build: EngineBuild): object {
	return {
		name: withoutExpressions(build.name),
		on: { workflow_dispatch: {} },
		permissions: { contents: 'read', packages: 'write' },
		jobs: {
			build: {
				'runs-on': 'ubuntu-latest',
				...(build.deadline !== undefined && { 'timeout-minutes': Math.ceil(build.deadline / 60) }),
				steps: [
					...(build.git === undefined ? [{ uses: 'actions/checkout@v7' }] : []),
					{ uses: CI.action, with: inputsOf(build, withoutExpressions) },
				],
			},
		},
	};
}

type Inputs = Readonly<Record<string, string | boolean>>;

/** Lists are lines, so that a value with several would be several values: such are left out. */
function inputsOf(build: EngineBuild, asLiteral: (value: string) => string): Inputs {
	const { git } = build;
	const isLine = ({ value = '' }: { readonly value: string | undefined }) => !/[\r\n]/.test(value);
	const texts: readonly (readonly [name: string, value: string | undefined])[] = [
		[CI.image, build.image],
		[CI.builder, build.builder],
		[CI.source, git?.url],
		[CI.ref, git?.ref],
		[CI.contextDir, build.contextDir],
		[CI.environment, lines(assignments({ ...build, environment: build.environment.filter(isLine) }))],
		[CI.labels, lines(build.labels.filter(isLine).map(assignment))],
		[CI.scriptsUrl, build.scriptsUrl],
		[CI.pullPolicy, build.pullPolicy],
		[CI.beforePush, build.beforePush],
	];
	const given = texts.flatMap(([name, value]) => (value === undefined ? [] : [[name, asLiteral(value)]]));
	return { ...(Object.fromEntries(given) as Inputs), ...(build.incremental && { [CI.incremental]: true }) };
}

function lines(values: readonly string[]): string | undefined {
	return values.length === 0 ? undefined : values.join('\n');
}

/** A value is no expression, whoever wrote it: `${{` is what GitHub evaluates. */
function withoutExpressions(value: string): string {
	return value.replaceAll('${{', "${{ '${{' }}");
}

/** A value names no variable, whoever wrote it: `$` is what GitLab expands, and `$$` what it reads as a dollar (docs.gitlab.com/ci/variables). */
function withoutVariables(value: string): string {
	return value.replaceAll('$', '$$$$');
}
