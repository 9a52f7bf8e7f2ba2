import { readFileSync } from 'node:fs';
import { BuildError, errnoOf } from '../errors.js';
import { redact } from '../redact.js';
import { whyRefused } from './aliases.js';
import { closest } from './closest.js';
import type { Command, CommandContext } from './command.js';
import { commands } from './commands.js';
import { exitCodeOf } from './exit-code.js';
import { type CommandIo, useColor } from './io.js';
import { programName } from './program-name.js';
import { renderError } from './render-error.js';

const HELP = `Turn source code and a Source-to-Image builder image into an OCI image, without Docker and without root.

Usage: s2oci <command> [arguments]

Commands:
  build <source> <builder> [<tag>]       build an image, and push it when there is a tag
  rebuild <image> [<new-tag>]            build an image again as its labels say
  run <image> [-- <command>]             run an image in a sandbox
  usage <image>                          run the usage script of a builder image
  create <imageName> <destination>       write the files of a new builder image
  generate <builder> <output>            write a Dockerfile for a builder image
  doctor [<registry-or-image>...]        find out what builds here can use, and what is in the way
  store                                  show what is in the layer store
  prune                                  remove layers that are no longer used
  completion bash|zsh|fish               print a script that completes commands and options
  version                                print the version
  help [<command>]                       explain a command

Examples:
  Build this directory and push the result
    s2oci build . quay.io/sclorg/nodejs-22-c9s registry.example/team/app:1.2

  Build a git repository, and try the image
    s2oci build https://example.org/app.git quay.io/sclorg/python-312-c9s registry.example/app
    s2oci run registry.example/app

Exit status: 0 done, 1 assemble failed, 2 usage, 3 registry or image, 4 this host cannot run it, 5 source, 70 a bug.
`;

const own: Readonly<Record<string, Command>> = {
	version: (_argv, { io }) => Promise.resolve(print(io, `s2oci ${readVersion()}\n`)),
	help: ([topic], context) =>
		topic === undefined ? Promise.resolve(print(context.io, HELP)) : explain(topic, context),
};

const ALIASES: ReadonlyMap<string, string> = new Map([
	['--help', 'help'],
	['-h', 'help'],
	['--version', 'version'],
]);

/** Runs the command line `argv`, without the program's name; resolves with the exit status and never rejects. */
export async function main(argv: readonly string[], io: CommandIo): Promise<number> {
	outliveReaders(io);
	try {
		const [name = 'help', ...rest] = commandFirst(argv);
		return await findCommand(ALIASES.get(name) ?? name)(rest, { io, program: programName(io) });
	} catch (error) {
		io.stderr.write(renderError(error, useColor(io)));
		return exitCodeOf(error);
	}
}

/** S2I's global options may stand before the command: the one that we have is moved behind it. */
function commandFirst(argv: readonly string[]): readonly string[] {
	const [first = '', second, ...rest] = argv;
	if (first === '--loglevel' && second !== undefined) return moveBehind(`${first}=${second}`, commandFirst(rest));
	if (first.startsWith('--loglevel=')) return moveBehind(first, commandFirst(argv.slice(1)));
	const why = whyRefused(first.startsWith('-U') ? 'U' : (/^--([a-z]+)(?:=|$)/.exec(first)?.[1] ?? ''));
	if (why === undefined) return argv;
	throw new BuildError('USAGE', `s2oci does not take ${first.replace(/=.*/s, '').slice(0, 50)}: ${why}`, {
		hint: 'Leave it out.',
	});
}

/** Commands that have nothing to report. */
const WITHOUT_LEVEL: readonly string[] = ['create', 'completion', 'version', 'help'];

function moveBehind(option: string, [name, ...rest]: readonly string[]): readonly string[] {
	if (name === undefined) return [];
	return WITHOUT_LEVEL.includes(name) ? [name, ...rest] : [name, option, ...rest];
}

function findCommand(name: string): Command {
	const all = { ...commands, ...own };
	const found = Object.hasOwn(all, name) ? all[name] : undefined;
	if (found !== undefined) return found;
	const near = closest(name, Object.keys(all));
	const what = name.startsWith('-') ? 'an option stands before the command:' : 'there is no command';
	throw new BuildError('USAGE', `${what} ${JSON.stringify(redact(name).slice(0, 50))}`, {
		hint: near === undefined ? 'See s2oci help.' : `Did you mean s2oci ${near}?`,
	});
}

function explain(topic: string, context: CommandContext): Promise<number> {
	if (Object.hasOwn(own, topic)) return Promise.resolve(print(context.io, HELP));
	return findCommand(topic)(['--help'], context);
}

function print(io: CommandIo, text: string): number {
	io.stdout.write(text);
	return 0;
}

/** A reader of our output that goes away, such as head(1), is no reason to leave a build half done. */
function outliveReaders({ stdout, stderr }: CommandIo): void {
	for (const stream of [stdout, stderr]) {
		stream.on('error', (error: unknown) => {
			if (errnoOf(error) !== 'EPIPE') throw error;
		});
	}
}

function readVersion(): string {
	const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
	const isManifest = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
	return isManifest ? String(manifest.version) : 'unknown';
}
