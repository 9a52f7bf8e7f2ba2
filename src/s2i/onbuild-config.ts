import { posix } from 'node:path';
import { expandWord, type Instruction, type OnBuildConfig, type OnBuildState, shellOf } from './onbuild-state.js';
import {
	onBuildInvalid,
	onBuildUnsupported,
	readJsonForm,
	splitFlags,
	splitPlain,
	splitQuoted,
} from './onbuild-words.js';

/** What an instruction does to the build so far. */
export type Apply = (instruction: Instruction, state: OnBuildState) => void;

const MAX_PORTS = 65_536;
const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };
const HEALTH_TIMES = {
	interval: 'Interval',
	timeout: 'Timeout',
	'start-period': 'StartPeriod',
	'start-interval': 'StartInterval',
};

/** The instructions that change the config only, by name. */
export const CONFIG_INSTRUCTIONS: Readonly<Record<string, Apply>> = {
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
