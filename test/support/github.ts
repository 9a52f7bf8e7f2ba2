import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import { type Contexts, evaluate, textOf, valueOf } from './github-expression.js';
import type { Workspace } from './host.js';
import type { RunInContainer } from './plain-container.js';

const PROJECT = join(import.meta.dirname, '../..');

type Values = Readonly<Record<string, string>>;

interface Step {
	readonly id?: string;
	readonly uses?: string;
	readonly with?: Readonly<Record<string, string | boolean>>;
	readonly run?: string;
	readonly shell?: string;
	readonly env?: Values;
}

interface Job {
	readonly if?: string;
	readonly needs?: string | readonly string[];
	readonly strategy?: { readonly matrix: string | { readonly include: readonly object[] } };
	readonly outputs?: Values;
	readonly env?: Values;
	readonly steps: readonly Step[];
}

/** What a workflow left. */
export interface Ran {
	/** Of each job that ran, the last of its matrix. */
	readonly outputs: ReadonlyMap<string, Values>;
	/** What all steps printed, and the summaries of the jobs. */
	readonly log: string;
	readonly summary: string;
}

/** What a runner knows of the repository. */
export interface GithubProject {
	/** Directory with what is checked out. */
	readonly source: string;
	/** The context `github`, and variables of all steps. */
	readonly github: Values;
	readonly env: Values;
	/** Inputs of our action that nobody gives. */
	readonly inputs: Values;
}

/**
 * Runs the workflow in `text` as a runner of GitHub does: each job in a directory of its own, after those that it needs, and each step in a
 * container. Of actions, it has ours as it is in this checkout, actions/checkout, and those for artifacts. Fails with what the failed step printed.
 */
export async function runWorkflow(
	{ root }: Workspace,
	container: RunInContainer,
	text: string,
	project: GithubProject,
): Promise<Ran> {
	const { jobs } = parse(text) as { readonly jobs: Readonly<Record<string, Job>> };
	const outputs = new Map<string, Values>();
	const artifacts = makeDirectory(root, 'artifacts');
	const [log, summaries]: [string[], string[]] = [[], []];
	const left = new Map(Object.entries(jobs));
	while (left.size > 0) {
		const next = [...left].find(([, { needs = [] }]) => [needs].flat().every((name) => !left.has(name)));
		if (next === undefined) throw new Error('the jobs need one another');
		const [name, job] = next;
		left.delete(name);
		const needs = Object.fromEntries([...outputs].map(([each, values]) => [each, { outputs: values }]));
		const contexts = { github: project.github, needs };
		if (job.if !== undefined && valueOf(job.if, contexts) !== true) continue;
		for (const matrix of combinations(job, contexts)) {
			const place = openPlace(root, artifacts, container, project);
			const steps = await runSteps(place, job, { ...contexts, matrix });
			outputs.set(name, evaluateAll(job.outputs ?? {}, { ...contexts, matrix, steps }));
			log.push(...place.log);
			summaries.push(read(place.summary));
		}
	}
	return { outputs, log: log.join('\n'), summary: summaries.join('\n') };
}

function combinations({ strategy }: Job, contexts: Contexts): readonly object[] {
	if (strategy === undefined) return [{}];
	const { matrix } = strategy;
	const value = typeof matrix === 'string' ? evaluate(matrix, contexts) : matrix;
	return (value as { readonly include: readonly object[] }).include;
}

/** Where a job runs. */
interface Place {
	readonly directory: string;
	readonly temporary: string;
	readonly artifacts: string;
	readonly summary: string;
	readonly path: string[];
	readonly log: string[];
	readonly container: RunInContainer;
	readonly project: GithubProject;
}

function openPlace(root: string, artifacts: string, container: RunInContainer, project: GithubProject): Place {
	const temporary = makeDirectory(root, 'runner-');
	const summary = join(temporary, 'summary');
	writeFileSync(summary, '');
	makeOpen(temporary);
	return {
		directory: makeDirectory(root, 'work-'),
		temporary,
		artifacts,
		summary,
		path: [],
		log: [],
		container,
		project,
	};
}

function makeDirectory(root: string, name: string): string {
	const path = name.endsWith('-') ? mkdtempSync(join(root, name)) : join(root, name);
	mkdirSync(path, { recursive: true });
	return makeOpen(path);
}

/** Lets every user write there, as the one of a runner may in what is its own. */
function makeOpen(path: string): string {
	execFileSync('chmod', ['-R', 'a+rwX', path]);
	return path;
}

type Steps = Readonly<Record<string, { readonly outputs: Values }>>;

async function runSteps(
	place: Place,
	{ steps, env = {} }: Pick<Job, 'steps' | 'env'>,
	contexts: Contexts,
): Promise<Steps> {
	const done: Record<string, { readonly outputs: Values }> = {};
	for (const step of steps) {
		const known = { ...contexts, steps: done };
		const variables = evaluateAll({ ...env, ...step.env }, known);
		const outputs = await (step.uses === undefined
			? runScript(place, step, variables, known)
			: use(place, step.uses, evaluateAll(step.with ?? {}, known), variables));
		if (step.id !== undefined) done[step.id] = { outputs };
	}
	return done;
}

function evaluateAll(values: Readonly<Record<string, string | boolean>>, contexts: Contexts): Values {
	const entries = Object.entries(values).map(([name, value]) => [name, textOf(evaluate(String(value), contexts))]);
	return Object.fromEntries(entries) as Values;
}

async function runScript(
	place: Place,
	{ run = '', shell = 'bash' }: Step,
	env: Values,
	contexts: Contexts,
): Promise<Values> {
	const { directory, temporary, container, project, path, log, summary } = place;
	const step = makeDirectory(temporary, 'step-');
	const [output, added] = [join(step, 'output'), join(step, 'path')];
	for (const file of [output, added]) writeFileSync(file, '');
	makeOpen(step);
	const files = { GITHUB_OUTPUT: output, GITHUB_PATH: added, GITHUB_STEP_SUMMARY: summary };
	const runner = { GITHUB_ACTIONS: 'true', GITHUB_WORKSPACE: directory, RUNNER_TEMP: temporary, RUNNER_ARCH: 'X64' };
	const script = textOf(evaluate(run, contexts));
	const words = ['env', ...(path.length === 0 ? [] : [`PATH=${[...path, process.env['PATH']].join(':')}`])];
	const printed = await container([...words, shell, '-e', '-c', script], {
		cwd: directory,
		env: { ...runner, ...files, ...project.env, ...env },
	});
	log.push(printed.stdout, printed.stderr);
	path.unshift(...read(added).split('\n').filter(Boolean));
	return outputsOf(read(output));
}

/** `NAME=VALUE`, or `NAME<<MARK`, lines, and `MARK`. */
function outputsOf(text: string): Values {
	const several = [...text.matchAll(/^([^=\n]+?)<<(.+)\n([^]*?)\n\2$/gm)].map(([, name = '', , value = '']) => [
		name,
		value,
	]);
	const single = text.replace(/^([^=\n]+?)<<(.+)\n([^]*?)\n\2$/gm, '').matchAll(/^([^=\n]+)=(.*)$/gm);
	return Object.fromEntries([...several, ...[...single].map(([, name = '', value = '']) => [name, value])]) as Values;
}

async function use(place: Place, action: string, given: Values, env: Values): Promise<Values> {
	const { directory, artifacts, project } = place;
	const name = action.replace(/@.*/, '');
	if (name === 's2oci/s2oci') return useOurs(place, given, env);
	if (name === 'actions/checkout') cpSync(project.source, directory, { recursive: true });
	else if (name === 'actions/upload-artifact') {
		const into = join(artifacts, given['name'] ?? 'artifact');
		for (const file of globSync(given['path'] ?? '', { cwd: directory })) {
			cpSync(join(directory, file), join(into, basename(file)), { recursive: true });
		}
	} else if (name === 'actions/download-artifact') {
		if (given['merge-multiple'] !== 'true') throw new Error('artifacts are only merged here');
		for (const each of globSync(given['pattern'] ?? '*', { cwd: artifacts })) {
			cpSync(join(artifacts, each), directory, { recursive: true });
		}
	} else throw new Error(`this runner has no action ${action}`);
	makeOpen(directory);
	return {};
}

interface Action {
	readonly inputs: Readonly<Record<string, { readonly default?: string; readonly required?: boolean }>>;
	readonly outputs: Readonly<Record<string, { readonly value: string }>>;
	readonly runs: { readonly using: string; readonly steps: readonly Step[] };
}

async function useOurs(place: Place, given: Values, env: Values): Promise<Values> {
	const { inputs, outputs, runs } = parse(readFileSync(join(PROJECT, 'action.yml'), 'utf8')) as Action;
	const unknown = Object.keys(given).filter((name) => !(name in inputs));
	if (unknown.length > 0) throw new Error(`the action has no inputs ${unknown.join(', ')}`);
	const github = { ...place.project.github, action_repository: 's2oci/s2oci' };
	const all = Object.entries(inputs).map(([name, { default: otherwise = '' }]) => {
		const value = given[name] ?? place.project.inputs[name] ?? textOf(evaluate(otherwise, { github }));
		return [name, value] as const;
	});
	const contexts = { github, inputs: Object.fromEntries(all) };
	const steps = await runSteps(place, { steps: runs.steps, env: { ...env, GITHUB_ACTION_PATH: PROJECT } }, contexts);
	const values = Object.entries(outputs).map(([name, { value }]) => [name, value] as const);
	return evaluateAll(Object.fromEntries(values), { ...contexts, steps });
}

function read(path: string): string {
	return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
