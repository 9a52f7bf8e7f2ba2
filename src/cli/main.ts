import { setImmediate as nextTurn } from 'node:timers/promises';
import { BuildError, errnoOf, messageOf } from '../errors.js';
import { hostFault, noSpace } from '../host-fault.js';
import { redactWord } from '../redact.js';
import { readGlobal } from './aliases.js';
import { commands } from './commands.js';
import { exitCodeOf } from './exit-code.js';
import { type CommandIo, renderError, useColor } from './io.js';
import { renderOverview } from './overview.js';
import type { Command, CommandContext } from './parse-command.js';
import { closest } from './values.js';
import { type ProgramName, programName } from './words.js';

const own: Readonly<Record<string, Command>> = {
	'--version': async (_argv, { io, program }) => {
		const { versionLine } = await import('./commands/version.js');
		return print(io, versionLine(program));
	},
	help: (argv, context) => {
		const topic = argv.find((word) => !word.startsWith('-'));
		return topic === undefined
			? Promise.resolve(print(context.io, renderOverview(context.program)))
			: explain(topic, context);
	},
};

const ALIASES: ReadonlyMap<string, string> = new Map([
	['--help', 'help'],
	['-h', 'help'],
]);

/** Runs the command line `argv`, without the program's name; resolves with the exit status and never rejects. */
export async function main(argv: readonly string[], io: CommandIo): Promise<number> {
	const lost = outliveReaders(io);
	const program = programName(io);
	try {
		const [name = 'help', ...rest] = commandFirst(argv);
		const status = await findCommand(ALIASES.get(name) ?? name, program)(rest, { io, program });
		await checkWritten(lost);
		return status;
	} catch (thrown) {
		const error = hostFault(io.fault?.take() ?? thrown);
		io.stderr.write(renderError(error, useColor(io)));
		return exitCodeOf(error, program);
	}
}

/** S2I's global options may stand before the command: they are moved behind it. Throws USAGE when one lacks its value. */
function commandFirst(argv: readonly string[]): readonly string[] {
	const globals: string[] = [];
	for (let at = 0; at < argv.length; at += 1) {
		const word = argv[at] ?? '';
		const [, name = ''] = /^--([a-z]+)(?:=|$)/.exec(word) ?? /^-([A-Z])/.exec(word) ?? [];
		const found = readGlobal(name);
		if (found === undefined) return [word, ...globals, ...argv.slice(at + 1)];
		const isWhole = !found.takesValue || word.includes('=') || (name.length === 1 && word.length > 2);
		globals.push(isWhole ? word : `${word}=${argv[((at += 1))] ?? missing(word)}`);
	}
	return ['help', ...globals];
}

function missing(option: string): never {
	throw new BuildError('USAGE', `${option} needs a value`, { hint: 'Leave it out: it is for a Docker daemon.' });
}

function findCommand(name: string, program: ProgramName): Command {
	const listed = Object.hasOwn(commands, name) ? commands[name]?.call : undefined;
	const found = listed ?? (Object.hasOwn(own, name) ? own[name] : undefined);
	if (found !== undefined) return found;
	const near = closest(name, [...Object.keys(commands), ...Object.keys(own)]);
	const what = name.startsWith('-') ? 'an option stands before the command:' : 'there is no command';
	throw new BuildError('USAGE', `${what} ${JSON.stringify(redactWord(name).slice(0, 50))}`, {
		hint: near === undefined ? `See ${program} help.` : `Did you mean ${program} ${near}?`,
	});
}

function explain(topic: string, context: CommandContext): Promise<number> {
	if (Object.hasOwn(own, topic)) return Promise.resolve(print(context.io, renderOverview(context.program)));
	return findCommand(topic, context.program)(['--help'], context);
}

function print(io: CommandIo, text: string): number {
	io.stdout.write(text);
	return 0;
}

/**
 * A reader of our output that goes away, such as head(1), or a disk that has no room for a log, is no reason to leave a build half done.
 * What then is missing on stdout is returned by the result, but for what a reader did not want.
 */
function outliveReaders({ stdout, stderr }: CommandIo): () => unknown {
	let lost: unknown;
	stderr.on('error', () => undefined);
	stdout.on('error', (error: unknown) => {
		if (errnoOf(error) !== 'EPIPE') lost ??= error;
	});
	return () => lost;
}

/** Throws HOST_NO_SPACE or OUTPUT_FAILED when something is missing on stdout; writing there fails a turn later. */
async function checkWritten(lost: () => unknown): Promise<void> {
	await nextTurn();
	const cause = lost();
	if (cause === undefined) return;
	const message = `standard output cannot be written: ${messageOf(cause)}`;
	const refused = new BuildError('OUTPUT_FAILED', message, { hint: 'Check where it leads.', cause });
	throw noSpace(cause, 'standard output', 'let it lead elsewhere') ?? refused;
}
