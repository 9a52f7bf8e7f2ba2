import { posix } from 'node:path';
import type { ContainerConfig } from '../oci/image.js';
import { BAD_PATTERN, goMatch } from '../source/match.js';
import { DEFAULT_PATH } from './contract.js';
import { type EnvironmentVariable, readImageEnvironment } from './environment.js';
import {
	expandWord,
	type Instruction,
	type OnBuildConfig,
	type OnBuildState,
	type OnBuildStep,
	shellOf,
} from './onbuild-state.js';
import {
	onBuildInvalid,
	onBuildUnsupported,
	readJsonForm,
	splitFlags,
	splitPlain,
	splitQuoted,
} from './onbuild-words.js';

/** What an instruction does to the build so far. */
type Apply = (instruction: Instruction, state: OnBuildState) => void;

const MAX_PORTS = 65_536;
const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };
const HEALTH_TIMES = {
	interval: 'Interval',
	timeout: 'Timeout',
	'start-period': 'StartPeriod',
	'start-interval': 'StartInterval',
};

const INSTRUCTIONS: Readonly<Record<string, Apply>> = {
	ENV: (instruction, state) => {
		for (const [name, value] of readPairs(instruction, state)) state.env.set(name, value);
	},
	LABEL: (instruction, state) => {
		change(state, { Labels: { ...state.config.Labels, ...Object.fromEntries(readPairs(instruction, state)) } });
	},
	ARG: (instruction, state) => {
		for (const word of splitQuoted(instruction.rest)) {
			const at = word.indexOf('=');
			if (at > 0) state.args.set(word.slice(0, at), expandWord(word.slice(at + 1), state, instruction));
		}
	},
	USER: (instruction, state) => change(state, { User: readWord(instruction, state) }),
	CMD: (instruction, state) => {
		state.hasCommand = true;
		change(state, { Cmd: readCommand(instruction, state) });
	},
	ENTRYPOINT: (instruction, state) => {
		change(state, { Entrypoint: readCommand(instruction, state), ...(!state.hasCommand && { Cmd: [] }) });
	},
	EXPOSE: (instruction, state) => {
		const ports = splitPlain(instruction.rest).flatMap((word) =>
			readPorts(expandWord(word, state, instruction), instruction),
		);
		change(state, { ExposedPorts: { ...state.config.ExposedPorts, ...emptyObjects(ports) } });
	},
	VOLUME: (instruction, state) => {
		const words = readJsonForm(instruction.rest) ?? splitPlain(instruction.rest);
		const paths = words.map((word) => posix.resolve(state.cwd, expandWord(word, state, instruction)));
		if (paths.length === 0 || paths.includes('/')) throw onBuildInvalid(instruction.text, 'names no directory');
		change(state, { Volumes: { ...state.config.Volumes, ...emptyObjects(paths) } });
	},
	STOPSIGNAL: (instruction, state) => change(state, { StopSignal: readWord(instruction, state) }),
	SHELL: (instruction, state) => {
		const words = readJsonForm(instruction.rest) ?? [];
		if (words.length === 0) throw onBuildInvalid(instruction.text, 'needs a JSON array');
		change(state, { Shell: words });
	},
	HEALTHCHECK: (instruction, state) => change(state, { Healthcheck: readHealthcheck(instruction, state) }),
	COPY: (instruction, state) => void state.steps.push(readCopy(instruction, state)),
	ADD: (instruction, state) => void state.steps.push(readCopy(instruction, state)),
	RUN: (instruction, state) => void state.steps.push(readRun(instruction, state)),
	WORKDIR: (instruction, state) => {
		const word = expandWord(instruction.rest, state, instruction);
		if (word === '') throw onBuildInvalid(instruction.text, 'names no directory');
		state.cwd = posix.resolve(state.cwd, word);
		change(state, { WorkingDir: state.cwd });
		state.steps.push({ type: 'directory', path: state.cwd, user: state.config.User ?? '', text: instruction.text });
	},
	MAINTAINER: () => undefined,
};

function change(state: OnBuildState, more: Partial<OnBuildConfig>): void {
	state.config = { ...state.config, ...more };
}

function emptyObjects(names: readonly string[]): Readonly<Record<string, object>> {
	return Object.fromEntries(names.map((name) => [name, {}]));
}

function readWord(instruction: Instruction, state: OnBuildState): string {
	const word = expandWord(instruction.rest, state, instruction);
	if (word === '') throw onBuildInvalid(instruction.text, 'needs a value');
	return word;
}

function readCommand({ rest }: Instruction, state: OnBuildState): readonly string[] {
	const words = readJsonForm(rest);
	if (words !== undefined) return words;
	return rest === '' ? [] : [...shellOf(state), rest];
}

/** `NAME=VALUE ...`, or the old form `NAME VALUE`; all values see the variables as they were before. */
function readPairs(instruction: Instruction, state: OnBuildState): readonly (readonly [string, string])[] {
	const { rest, text } = instruction;
	const words = splitQuoted(rest);
	if (words.length === 0) throw onBuildInvalid(text, 'needs NAME=VALUE');
	const old = /^([^\s=]+)\s+([^]*)$/.exec(rest);
	const pairs = old === null ? words.map(splitPair) : [[old[1] ?? '', old[2] ?? ''] as const];
	return pairs.map(([name, value]) => {
		if (name === '' || value === undefined) throw onBuildInvalid(text, 'needs NAME=VALUE');
		const [key, content] = [expandWord(name, state, instruction), expandWord(value, state, instruction)];
		if (key === '' || key.includes('=')) throw onBuildInvalid(text, 'needs NAME=VALUE');
		return [key, content];
	});
}

function splitPair(word: string): readonly [string, string | undefined] {
	const at = word.indexOf('=');
	return at === -1 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}

function readPorts(word: string, { text }: Instruction): readonly string[] {
	const [, from, to = from, protocol = 'tcp'] = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(word) ?? [];
	const [first, last] = [Number(from), Number(to)];
	if (from === undefined || first > last || last >= MAX_PORTS) throw onBuildInvalid(text, 'has a port that is none');
	return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol.toLowerCase()}`);
}

function readHealthcheck(instruction: Instruction, state: OnBuildState): object {
	const { text } = instruction;
	const { flags, rest } = splitFlags(instruction.rest);
	const [, kind = '', command = ''] = /^(\S+)\s*([^]*)$/.exec(rest) ?? [];
	if (kind.toUpperCase() === 'NONE' && command === '' && flags.size === 0) return { Test: ['NONE'] };
	if (kind.toUpperCase() !== 'CMD' || command === '') throw onBuildInvalid(text, 'needs CMD or NONE');
	const words = readJsonForm(command);
	const options = [...flags].map(([name, value]) =>
		readHealthOption(name, expandWord(value, state, instruction), text),
	);
	return { Test: words === undefined ? ['CMD-SHELL', command] : ['CMD', ...words], ...Object.fromEntries(options) };
}

function readHealthOption(name: string, value: string, text: string): readonly [string, number] {
	if (name === 'retries' && /^\d{1,6}$/.test(value)) return ['Retries', Number(value)];
	const field = Object.entries(HEALTH_TIMES).find(([flag]) => flag === name)?.[1];
	if (field === undefined) throw onBuildUnsupported(text, `HEALTHCHECK --${name}`);
	if (!/^(?:\d{1,9}(?:\.\d{1,9})?(?:ns|us|ms|s|m|h))+$/.test(value))
		throw onBuildInvalid(text, `has no duration in --${name}`);
	const parts = value.matchAll(/([\d.]+)([a-z]+)/g);
	return [field, [...parts].reduce((sum, [, number, unit]) => sum + Number(number) * (UNITS[unit ?? ''] ?? 0), 0)];
}

/** What the ONBUILD instructions of an image come to. */
export interface OnBuildPlan {
	readonly steps: readonly OnBuildStep[];
	/** The config of the image after all of them, ONBUILD being empty. */
	readonly config: ContainerConfig;
}

const MAX_INSTRUCTIONS = 500;
const MAX_LENGTH = 64 * 1024;

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

function readRun(instruction: Instruction, state: OnBuildState): OnBuildStep {
	const { rest, text } = instruction;
	const [, flag] = /^--([a-z-]+)/.exec(rest) ?? [];
	if (flag !== undefined) throw onBuildUnsupported(text, `RUN --${flag}`);
	if (rest.startsWith('<<')) throw onBuildUnsupported(text, 'RUN of a here-document');
	const [program, ...args] = readCommand(instruction, state);
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

const REMOTE = /^(?:https?|ftp|git|ssh):\/\/|^git@|^github\.com\//i;

/**
 * COPY or ADD of local files, with `--chown`, `--chmod` (octal) and `--link`, which changes nothing here. Throws IMAGE_UNSUPPORTED for
 * other flags and for URLs, IMAGE_INVALID for sources outside of the build context.
 */
function readCopy(instruction: Instruction, state: OnBuildState): OnBuildStep {
	const { name, text } = instruction;
	const { flags, rest } = splitFlags(instruction.rest);
	for (const flag of flags.keys()) {
		if (!['chown', 'chmod', 'link'].includes(flag)) throw onBuildUnsupported(text, `${name} --${flag}`);
	}
	const words = (readJsonForm(rest) ?? splitPlain(rest)).map((word) => expandWord(word, state, instruction));
	const destination = words.at(-1) ?? '';
	const sources = words.slice(0, -1);
	if (sources.length === 0 || destination === '') throw onBuildInvalid(text, 'needs a source and a destination');
	const intoDirectory = /(?:^|\/)\.?$/.test(destination);
	if (sources.length > 1 && !intoDirectory)
		throw onBuildInvalid(text, 'has several sources, so its destination must end with /');
	const chown = flags.get('chown');
	return {
		type: 'copy',
		sources: sources.map((source) => readSource(source, instruction)),
		destination: posix.resolve(state.cwd, destination),
		intoDirectory,
		extract: name === 'ADD',
		chown: chown === undefined ? undefined : expandWord(chown, state, instruction),
		mode: readMode(flags.get('chmod'), state, instruction),
		text,
	};
}

function readSource(source: string, { name, text }: Instruction): string {
	if (REMOTE.test(source)) throw onBuildUnsupported(text, `${name} of a URL`);
	if (source.startsWith('<<')) throw onBuildUnsupported(text, `${name} of a here-document`);
	const clean = posix.normalize(`./${source}`).replace(/\/$/, '');
	if (clean === '..' || clean.startsWith('../')) throw onBuildInvalid(text, 'wants files from outside of the source');
	if (goMatch(clean, '') === BAD_PATTERN) throw onBuildInvalid(text, 'has a pattern that is not valid');
	return clean === '.' ? '' : clean;
}

function readMode(flag: string | undefined, state: OnBuildState, instruction: Instruction): number | undefined {
	if (flag === undefined) return undefined;
	const mode = expandWord(flag, state, instruction);
	if (/^[0-7]{3,4}$/.test(mode)) return Number.parseInt(mode, 8);
	throw onBuildUnsupported(
		instruction.text,
		`--chmod=${JSON.stringify(mode.slice(0, 20)).slice(1, -1)}, which is not octal,`,
	);
}
