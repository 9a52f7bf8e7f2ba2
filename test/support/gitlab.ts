import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Workspace } from './host.js';
import type { Printed, RunInContainer } from './plain-container.js';

const PROJECT = join(import.meta.dirname, '../..');
const LOCAL = join(PROJECT, 'node_modules/gitlab-ci-local/dist/index.js');
/** gitlab-ci-local fetches a component that is included twice at the same time, and one copy may meet the other, before any job. */
const COLLISION = /Component include could not be fetched[\s\S]*File exists/;
const TRIES = 4;
const AUTHOR = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.org'];

/** A project at `gitlab.example` with a pipeline, beside one that has the components of this checkout in its version 0.1.0. */
export interface GitlabProject {
	readonly directory: string;
	/** Runs the pipeline, or what `args` say of it, by gitlab-ci-local, with these variables of the project. */
	readonly run: (variables: Readonly<Record<string, string>>, args?: readonly string[]) => Promise<Printed>;
}

/** Makes a project of what is in `source`. What runs its jobs is `container`. */
export function openGitlabProject(
	{ root }: Workspace,
	container: RunInContainer,
	{ source, pipeline }: { readonly source: string; readonly pipeline: string },
): GitlabProject {
	const directory = join(root, 'project');
	cpSync(source, directory, { recursive: true });
	writeFileSync(join(directory, '.gitlab-ci.yml'), pipeline);
	git(directory, ['remote', 'add', 'origin', 'https://gitlab.example/team/app.git']);
	const components = join(root, 'components');
	cpSync(join(PROJECT, 'templates'), join(components, 'templates'), { recursive: true });
	git(components, ['tag', '0.1.0']);
	const builds = join(root, 'builds');
	mkdirSync(builds);
	const settings = join(root, 'gitconfig');
	writeFileSync(settings, settingsOf(join(components, '.git')));
	for (const path of [directory, components, builds]) execFileSync('chmod', ['-R', 'a+rwX', path]);
	const run = async (variables: Readonly<Record<string, string>>, args: readonly string[] = []) => {
		const all = { CI_BUILDS_DIR: builds, ...variables };
		const given = Object.entries(all).flatMap(([name, value]) => ['--variable', `${name}=${value}`]);
		const quiet = ['--ignore-predefined-vars', Object.keys(all).join(',')];
		const words = [
			process.execPath,
			LOCAL,
			'--force-shell-executor',
			'--concurrency',
			'1',
			...quiet,
			...given,
			...args,
		];
		const env = { GIT_CONFIG_GLOBAL: settings, GIT_CONFIG_SYSTEM: '/dev/null' };
		for (let tries = 1; ; tries++) {
			try {
				return await container(words, { cwd: directory, env });
			} catch (error) {
				if (tries === TRIES || !COLLISION.test(String(error))) throw error;
			}
		}
	};
	return { directory, run };
}

function git(directory: string, last: readonly string[]): void {
	for (const words of [['init', '-q', '-b', 'main'], ['add', '.'], [...AUTHOR, 'commit', '-qm', 'Begin'], last]) {
		execFileSync('git', ['-C', directory, ...words]);
	}
}

/** What leads git to `components` instead of a server. */
function settingsOf(components: string): string {
	const names = ['https://gitlab.example:443', 'https://gitlab.example'];
	const instead = names.map((name) => `\tinsteadOf = ${name}/s2oci/s2oci.git\n`).join('');
	const user = '[user]\n\tname = Ada\n\temail = ada@example.org\n[safe]\n\tdirectory = *\n';
	return `${user}[url "${components}"]\n${instead}`;
}
