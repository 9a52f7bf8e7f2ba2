import { stripVTControlCharacters } from 'node:util';
import { parse } from 'cmd-ts';
import type { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import { type OptionNames, splitArguments, usage } from './argv.js';
import { renderHelp } from './help.js';
import type { Grammar } from './options.js';

/** What a command line asks of one command: its help, or its arguments. `rest` is what stood behind `--`. */
export type Parsed<T> =
	| { readonly type: 'help'; readonly text: string }
	| { readonly type: 'arguments'; readonly value: T; readonly rest: readonly string[] | undefined };

/** Parses `argv` for `command`, called `name`. Throws USAGE with one clear line. */
export async function parseCommand<T>(name: string, command: Grammar<T>, argv: readonly string[]): Promise<Parsed<T>> {
	const names = namesOf(name, command);
	const { args, rest } = splitArguments(argv, names);
	if (args.includes('--help') || args.includes('-h')) return { type: 'help', text: await renderHelp(command) };
	const result = await parse(command, [...args]);
	if (result._tag === 'error') throw describeProblem(result.error.errors, names);
	return { type: 'arguments', value: result.value as T, rest };
}

function namesOf<T>(name: string, command: Grammar<T>): OptionNames {
	const options = new Set<string>();
	const flags = new Set(['help', 'h']);
	command.register({
		forceFlagLongNames: flags,
		forceFlagShortNames: flags,
		forceOptionLongNames: options,
		forceOptionShortNames: options,
	});
	return { command: name, options, flags };
}

interface Problem {
	readonly message: string;
	readonly nodes: readonly { readonly raw: string }[];
}

function describeProblem(problems: readonly Problem[], names: OptionNames): BuildError {
	const extra = problems.find(({ message }) => message === 'Unknown arguments');
	if (extra !== undefined) {
		const words = extra.nodes.map(({ raw }) => redact(raw).slice(0, 100)).join(' ');
		return usage(`s2oci ${names.command} does not know what to do with: ${words}`, names);
	}
	const message = stripVTControlCharacters(problems[0]?.message ?? 'the arguments make no sense');
	const [option] = (problems[0]?.nodes ?? []).map(({ raw }) =>
		raw.replace(/^-*/, (dashes) => dashes || '-').replace(/=.*/s, ''),
	);
	if (message.startsWith('Too many times')) return usage(`${option ?? 'an option'} is given more than once`, names);
	const missing = /^No value provided for (.+)$/.exec(message);
	if (missing !== null) return usage(`s2oci ${names.command} needs <${missing[1] ?? ''}>`, names);
	return usage(redact(message.split('\n')[0] ?? ''), names);
}
