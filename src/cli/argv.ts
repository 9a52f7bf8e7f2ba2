import { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import { closest } from './closest.js';

/** The names of a command's options, without dashes: those that take a value, and flags. */
export interface OptionNames {
	readonly command: string;
	readonly options: ReadonlySet<string>;
	readonly flags: ReadonlySet<string>;
}

/** Arguments in the one form `--name=value` / `-n=value`, flags alone, and what stood behind `--`. */
export interface Arguments {
	readonly args: readonly string[];
	readonly rest: readonly string[] | undefined;
}

/**
 * `argv` with every spelling that pflag knows (`-eA=1`, `-cq`, `-e A=1`, `--env A=1`, `--env=A=1`) as one form, so that values may
 * begin with a dash. Throws USAGE for unknown options, with the nearest known one, and for missing values.
 */
export function splitArguments(argv: readonly string[], names: OptionNames): Arguments {
	const end = argv.indexOf('--');
	const words = (end === -1 ? argv : argv.slice(0, end)).values();
	const args: string[] = [];
	for (const word of words) {
		const valueOf = (option: string, inline: string | undefined) => {
			const value = inline ?? words.next().value;
			if (value === undefined) throw usage(`${option} needs a value`, names);
			return `${option}=${value}`;
		};
		if (word.startsWith('--')) args.push(readLong(word, names, valueOf));
		else if (word.startsWith('-') && word.length > 1) args.push(...readShort(word, names, valueOf));
		else args.push(word);
	}
	return { args, rest: end === -1 ? undefined : argv.slice(end + 1) };
}

/** USAGE with a hint that leads to the help of the command. */
export function usage(message: string, names: Pick<OptionNames, 'command'>, advice?: string): BuildError {
	return new BuildError('USAGE', message, { hint: advice ?? `See s2oci ${names.command} --help.` });
}

type ValueOf = (option: string, inline: string | undefined) => string;

function readLong(word: string, names: OptionNames, valueOf: ValueOf): string {
	const at = word.indexOf('=');
	const name = word.slice(2, at === -1 ? undefined : at);
	if (names.options.has(name)) return valueOf(`--${name}`, at === -1 ? undefined : word.slice(at + 1));
	if (!names.flags.has(name)) throw unknownOption(`--${name}`, names);
	if (at !== -1) throw usage(`--${name} takes no value`, names);
	return word;
}

function readShort(word: string, names: OptionNames, valueOf: ValueOf): readonly string[] {
	const args: string[] = [];
	for (let at = 1; at < word.length; at += 1) {
		const name = word.charAt(at);
		if (names.options.has(name)) {
			const inline = word.slice(at + 1).replace(/^=/, '');
			return [...args, valueOf(`-${name}`, at + 1 === word.length ? undefined : inline)];
		}
		if (!names.flags.has(name)) throw unknownOption(`-${name}`, names);
		args.push(`-${name}`);
	}
	return args;
}

function unknownOption(option: string, names: OptionNames): BuildError {
	const known = [...names.options, ...names.flags].filter((name) => name.length > 1);
	const near = option.startsWith('--') ? closest(option.slice(2), known) : undefined;
	const advice = near === undefined ? undefined : `Did you mean --${near}?`;
	return usage(`s2oci ${names.command} has no option ${redact(option).slice(0, 50)}`, names, advice);
}
