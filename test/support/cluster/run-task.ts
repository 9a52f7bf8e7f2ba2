import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
	type Container,
	type EnvironmentEntry,
	type Exited,
	emptyDirectory,
	type Mount,
	type Node,
	type SecurityContext,
} from './container.js';
import { type ParamValue, paramVariables, substitute, substituteWords, type Variables } from './variables.js';
import { makeVolume, type Objects, type Volume, type VolumeSource } from './volumes.js';

interface ParamSpec {
	readonly name: string;
	readonly type?: string;
	readonly default?: ParamValue;
}

interface ResultSpec {
	readonly name: string;
	readonly type?: string;
	readonly properties?: Readonly<Record<string, unknown>>;
	readonly value?: string;
}

export interface Param {
	readonly name: string;
	readonly value: ParamValue;
}

/** What a step does, by itself or as a StepAction. */
interface Action {
	readonly image: string;
	readonly command?: readonly string[];
	readonly args?: readonly string[];
	readonly script?: string;
	readonly env?: readonly EnvironmentEntry[];
	readonly workingDir?: string;
	readonly securityContext?: SecurityContext;
	readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
	readonly params?: readonly ParamSpec[];
	readonly results?: readonly ResultSpec[];
}

export interface Step extends Omit<Action, 'params' | 'image'> {
	readonly name: string;
	readonly image?: string;
	readonly ref?: { readonly name: string };
	readonly params?: readonly Param[];
}

/** A Task of tekton.dev/v1, of which sidecars and a template for steps are not known here. */
export interface TaskSpec {
	readonly params?: readonly ParamSpec[];
	readonly workspaces?: readonly { readonly name: string; readonly optional?: boolean; readonly mountPath?: string }[];
	readonly results?: readonly ResultSpec[];
	readonly volumes?: readonly Volume[];
	readonly steps: readonly Step[];
}

/** A StepAction of tekton.dev/v1beta1. */
export interface StepAction {
	readonly metadata: { readonly name: string };
	readonly spec: Action;
}

/** What a TaskRun says, and what is in its namespace. */
export interface TaskRun {
	readonly task: TaskSpec;
	readonly params?: readonly Param[] | undefined;
	/** Volumes that are made for it, or directories of this machine. */
	readonly workspaces?: Readonly<Record<string, VolumeSource | string>>;
	readonly stepActions?: readonly StepAction[];
	readonly objects?: Objects;
	/** Of the pod. */
	readonly security?: SecurityContext;
	/** For the home of Tekton: what it made of the secrets of the service account. */
	readonly dockerConfig?: string;
}

/** How a TaskRun ended: by the step that failed, or after the last. */
export interface TaskEnded extends Exited {
	readonly results: Readonly<Record<string, string>>;
}

/** The most that all results of a step may be, as JSON (docs/tasks.md of Tekton, "Emitting Results"). */
const MAX_RESULTS_BYTES = 4096;

/** Runs the steps of a Task one after the other, each in a container on `node`. Throws for a TaskRun that Tekton refuses. */
export async function runTask(node: Node, run: TaskRun): Promise<TaskEnded> {
	const pod = openPod(node, run);
	const results: Record<string, string> = {};
	let ended: Exited = { status: 0, stdout: '', stderr: '' };
	for (const step of run.task.steps) {
		ended = await runStep(pod, step);
		readResults(run.task.results ?? [], pod.results, results);
		if (ended.status !== 0) break;
	}
	for (const { name, value } of run.task.results ?? []) {
		if (value !== undefined && pod.variables.has(value.slice(2, -1))) results[name] = substitute(value, pod.variables);
	}
	return { ...ended, results };
}

interface Pod {
	readonly node: Node;
	readonly run: TaskRun;
	readonly variables: Map<string, string | readonly string[]>;
	/** Mounts that every step has. */
	readonly mounts: readonly Mount[];
	readonly volumes: ReadonlyMap<string, string>;
	readonly results: string;
	readonly steps: string;
}

function openPod(node: Node, run: TaskRun): Pod {
	const { task, params = [], objects = {}, workspaces = {} } = run;
	const root = emptyDirectory(node.directory);
	const directory = () => emptyDirectory(root);
	const [home, results, steps] = [directory(), directory(), directory()];
	if (run.dockerConfig !== undefined) {
		mkdirSync(join(home, '.docker'));
		writeFileSync(join(home, '.docker/config.json'), run.dockerConfig);
	}
	const bound = (task.workspaces ?? []).map(({ name, optional, mountPath }) => {
		const given = workspaces[name];
		if (given === undefined && optional !== true) throw new Error(`the workspace ${name} is missing`);
		const source = typeof given === 'object' ? makeVolume(given, root, objects) : given;
		return { name, source, path: source === undefined ? '' : (mountPath ?? `/workspace/${name}`) };
	});
	const variables = new Map([
		...paramsOf(task.params ?? [], params),
		...(task.results ?? []).map(({ name }) => [`results.${name}.path`, `/tekton/results/${name}`] as const),
		...bound.flatMap(({ name, path }) => [
			[`workspaces.${name}.path`, path] as const,
			[`workspaces.${name}.bound`, String(path !== '')] as const,
		]),
	]);
	return {
		...{ node, run, variables, results, steps },
		volumes: new Map((task.volumes ?? []).map((volume) => [volume.name, makeVolume(volume, root, objects)])),
		mounts: [
			{ source: directory(), path: '/workspace' },
			{ source: home, path: '/tekton/home' },
			{ source: results, path: '/tekton/results' },
			{ source: steps, path: '/tekton/steps' },
			...bound.flatMap(({ source, path }) => (source === undefined ? [] : [{ source, path }])),
		],
	};
}

/** The variables of what `specs` declare. Throws for what is missing, not declared, or of another type. */
function paramsOf(
	specs: readonly ParamSpec[],
	given: readonly Param[],
): readonly (readonly [string, string | readonly string[]])[] {
	const unknown = given.find(({ name }) => !specs.some((spec) => spec.name === name));
	if (unknown !== undefined) throw new Error(`there is no parameter ${unknown.name}`);
	return specs.flatMap(({ name, type = 'string', default: usual }) => {
		const value = given.find((each) => each.name === name)?.value ?? usual;
		if (value === undefined) throw new Error(`the parameter ${name} is missing`);
		const isArray = Array.isArray(value);
		if ((type === 'array') !== isArray) throw new Error(`the parameter ${name} is no ${type}`);
		return paramVariables(name, value);
	});
}

async function runStep(pod: Pod, step: Step): Promise<Exited> {
	const { action, variables } = resolve(pod, step);
	const directory = join(pod.steps, `step-${step.name}`, 'results');
	mkdirSync(directory, { recursive: true });
	chmodSync(directory, 0o777);
	const ended = await pod.node.run(containerOf(pod, action, variables));
	const found: Record<string, string> = {};
	readResults(action.results ?? [], directory, found);
	for (const [name, value] of Object.entries(found)) {
		const type = action.results?.find((each) => each.name === name)?.type;
		pod.variables.set(`steps.${step.name}.results.${name}${type === 'object' ? '[*]' : ''}`, value);
	}
	return ended;
}

function containerOf(pod: Pod, action: Action, variables: Variables): Container {
	const put = (text: string) => substitute(text, variables);
	const { image, args = [], env = [], workingDir, securityContext } = action;
	return {
		image: put(image),
		...startOf(pod, action, variables),
		args: substituteWords(args, variables),
		env: env.map(({ name, value = '' }) => ({ name, value: put(value) })),
		workingDir: workingDir && put(workingDir),
		security: { ...pod.run.security, ...securityContext },
	};
}

/** What a container begins with, and what it sees. */
function startOf(pod: Pod, action: Action, variables: Variables): Pick<Container, 'command' | 'mounts'> {
	const { command, script, volumeMounts = [] } = action;
	const mounts = volumeMounts.map(({ name, mountPath, readOnly = false }) => {
		const volume = substitute(name, variables);
		const source = pod.volumes.get(volume);
		if (source === undefined) throw new Error(`there is no volume ${volume}`);
		return { source, path: substitute(mountPath, variables), readOnly };
	});
	const all = [...pod.mounts, ...mounts];
	if (script === undefined) return { command: command && substituteWords(command, variables), mounts: all };
	const written = { source: writeScript(pod, substitute(script, variables)), path: '/tekton/scripts', readOnly: true };
	return { command: ['/tekton/scripts/script'], mounts: [...all, written] };
}

/** What `step` does, with the variables that it may refer to. */
function resolve(pod: Pod, step: Step): { readonly action: Action; readonly variables: Variables } {
	const { ref, name, image } = step;
	if (ref === undefined) {
		if (image === undefined || step.params !== undefined)
			throw new Error(`the step ${name} is neither inline nor a reference`);
		return { action: { ...step, image, params: [] }, variables: pod.variables };
	}
	const found = pod.run.stepActions?.find(({ metadata }) => metadata.name === ref.name)?.spec;
	if (found === undefined) throw new Error(`there is no StepAction ${ref.name}`);
	if (found.script?.includes('$(params') === true) throw new Error('a parameter in the script of a StepAction');
	const given = (step.params ?? []).map(({ name: param, value }) => ({
		name: param,
		value: valueOf(value, pod.variables),
	}));
	const own = (found.results ?? []).map(
		(result) => [`step.results.${result.name}.path`, `/tekton/steps/step-${name}/results/${result.name}`] as const,
	);
	return { action: found, variables: new Map([...paramsOf(found.params ?? [], given), ...own]) };
}

function valueOf(value: ParamValue, variables: Variables): ParamValue {
	if (typeof value !== 'string')
		return Array.isArray(value) ? substituteWords(value as readonly string[], variables) : value;
	const whole = variables.get(/^\$\((.*\[\*\])\)$/.exec(value)?.[1] ?? '');
	return whole ?? substitute(value, variables);
}

function writeScript(pod: Pod, text: string): string {
	const directory = emptyDirectory(pod.node.directory);
	writeFileSync(join(directory, 'script'), text, { mode: 0o755 });
	return directory;
}

/** Reads what a step has left of `specs` into `results`. Throws for what is too much, or no object with the properties that it should have. */
function readResults(specs: readonly ResultSpec[], directory: string, results: Record<string, string>): void {
	for (const { name, type, properties = {} } of specs) {
		const path = join(directory, name);
		if (!existsSync(path)) continue;
		const value = readFileSync(path, 'utf8');
		results[name] = value;
		if (type !== 'object') continue;
		const object = JSON.parse(value) as Readonly<Record<string, unknown>>;
		for (const key of Object.keys(properties)) {
			if (typeof object[key] !== 'string') throw new Error(`the result ${name} has no ${key}`);
		}
	}
	const message = JSON.stringify(Object.entries(results).map(([key, value]) => ({ key, value, type: 1 })));
	if (Buffer.byteLength(message) > MAX_RESULTS_BYTES) throw new Error('the results are too long');
}
