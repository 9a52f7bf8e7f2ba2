import { posix } from 'node:path';
import type { ContainerConfig } from '../oci/image.js';
import { DEFAULT_PATH } from './contract.js';
import { type EnvironmentVariable, readImageEnvironment } from './environment.js';
import { type Apply, CONFIG_INSTRUCTIONS } from './onbuild-config.js';
import { readCopy } from './onbuild-copy.js';
import {
	expandWord,
	type Instruction,
	type OnBuildConfig,
	type OnBuildState,
	type OnBuildStep,
	shellOf,
} from './onbuild-state.js';
import { onBuildInvalid, onBuildUnsupported, readJsonForm } from './onbuild-words.js';

/** What the ONBUILD instructions of an image come to. */
export interface OnBuildPlan {
	readonly steps: readonly OnBuildStep[];
	/** The config of the image after all of them, ONBUILD being empty. */
	readonly config: ContainerConfig;
}

const MAX_INSTRUCTIONS = 500;
const MAX_LENGTH = 64 * 1024;

const INSTRUCTIONS: Readonly<Record<string, Apply>> = {
	...CONFIG_INSTRUCTIONS,
	COPY: (instruction, state) => void state.steps.push(readCopy(instruction, state)),
	ADD: (instruction, state) => void state.steps.push(readCopy(instruction, state)),
	RUN: (instruction, state) => void state.steps.push(readRun(instruction, state)),
	WORKDIR: (instruction, state) => {
		const word = expandWord(instruction.rest, state, instruction);
		if (word === '') throw onBuildInvalid(instruction.text, 'names no directory');
		state.cwd = posix.resolve(state.cwd, word);
		state.config = { ...state.config, WorkingDir: state.cwd };
		state.steps.push({ type: 'directory', path: state.cwd, user: state.config.User ?? '', text: instruction.text });
	},
};

/**
 * Reads the ONBUILD instructions of an image with the config `config` as Docker does, all of them before any is executed.
 * `environment` are the variables of the build: they win over ENV and ARG of the same name. Throws IMAGE_UNSUPPORTED, naming it, for
 * what only Docker can do, and IMAGE_INVALID for what is malformed.
 */
export function planOnBuild(
	onBuild: readonly string[],
	config: ContainerConfig,
	environment: readonly EnvironmentVariable[],
): OnBuildPlan {
	const state = createState({ ...config, OnBuild: [] }, environment);
	if (onBuild.length > MAX_INSTRUCTIONS)
		throw onBuildInvalid(onBuild[0] ?? '', `is one of more than ${MAX_INSTRUCTIONS}`);
	for (const text of onBuild) {
		const instruction = parseInstruction(text);
		const apply = Object.hasOwn(INSTRUCTIONS, instruction.name) ? INSTRUCTIONS[instruction.name] : undefined;
		if (apply === undefined) throw onBuildUnsupported(text, instruction.name.slice(0, 20) || 'an empty instruction');
		apply(instruction, state);
	}
	const env = [...state.env].map(([name, value]) => `${name}=${value}`);
	return { steps: state.steps, config: env.length === 0 ? state.config : { ...state.config, Env: env } };
}

function createState(config: OnBuildConfig, environment: readonly EnvironmentVariable[]): OnBuildState {
	const env = new Map(readImageEnvironment(config.Env).map(({ name, value }) => [name, value]));
	const args = new Map<string, string>();
	const asked = new Map(environment.map(({ name, value }) => [name, value]));
	const path = (name: string) => (name === 'PATH' ? DEFAULT_PATH : undefined);
	return {
		env,
		args,
		steps: [],
		config,
		cwd: posix.resolve('/', config.WorkingDir ?? ''),
		hasCommand: false,
		variables: (name) => asked.get(name) ?? env.get(name) ?? args.get(name) ?? path(name),
	};
}

function parseInstruction(text: string): Instruction {
	if (text.length > MAX_LENGTH) throw onBuildInvalid(text, 'is longer than 64 KiB');
	if (text.includes('\0')) throw onBuildInvalid(text, 'has a NUL byte');
	const [, name = '', rest = ''] = /^(\S*)\s*([^]*)$/.exec(text.trim()) ?? [];
	return { name: name.toUpperCase(), rest, text };
}

function readRun({ rest, text }: Instruction, state: OnBuildState): OnBuildStep {
	const [, flag] = /^--([a-z-]+)/.exec(rest) ?? [];
	if (flag !== undefined) throw onBuildUnsupported(text, `RUN --${flag}`);
	if (rest.startsWith('<<')) throw onBuildUnsupported(text, 'RUN of a here-document');
	const [program, ...args] = readJsonForm(rest) ?? (rest === '' ? [] : [...shellOf(state), rest]);
	if (program === undefined || program === '') throw onBuildInvalid(text, 'has no command');
	return {
		type: 'run',
		argv: [program, ...args],
		env: { PATH: DEFAULT_PATH, ...Object.fromEntries([...state.args, ...state.env]) },
		cwd: state.cwd,
		user: state.config.User ?? '',
		text,
	};
}
