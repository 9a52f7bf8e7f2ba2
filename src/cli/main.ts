import { readFileSync } from 'node:fs';
import { BuildError, errnoOf } from '../errors.js';
import { redact } from '../redact.js';
import { closest } from './closest.js';
import { exitCodeOf } from './exit-code.js';
import { type CommandIo, useColor } from './io.js';
import { renderError } from './render-error.js';

type Command = (argv: readonly string[], io: CommandIo) => Promise<number>;

const HELP = `Turn source code and a Source-to-Image builder image into an OCI image, without Docker and without root.

Usage: s2oci <command> [arguments]

Commands:
  build <source> <builder> [<tag>]   build an image, and push it when there is a tag
  run <image> [-- <command>]         run an image in a sandbox
  version                            print the version
  help [<command>]                   explain a command

Examples:
  Build this directory and push the result
    s2oci build . quay.io/sclorg/nodejs-22-c9s registry.example/team/app:1.2

  Build a git repository, and try the image
    s2oci build https://example.org/app.git quay.io/sclorg/python-312-c9s registry.example/app
    s2oci run registry.example/app

Exit status: 0 done, 1 assemble failed, 2 usage, 3 registry or image, 4 this host cannot run it, 5 source, 70 a bug.
`;

const commands: Readonly<Record<string, Command>> = {
	build: async (argv, io) => {
		const [{ parseCommand }, { buildCommand }] = await Promise.all([
			import('./parse-command.js'),
			import('./build-command.js'),
		]);
		const parsed = await parseCommand('build', buildCommand, argv);
		if (parsed.type === 'help') return print(io, parsed.text);
		if (parsed.rest !== undefined)
			throw new BuildError('USAGE', 's2oci build takes nothing behind --', { hint: seeHelp('build') });
		const { runBuild } = await import('./run-build.js');
		return runBuild(parsed.value, io);
	},
	run: async (argv, io) => {
		const [{ parseCommand }, { runCommand }] = await Promise.all([
			import('./parse-command.js'),
			import('./run-command.js'),
		]);
		const parsed = await parseCommand('run', runCommand, argv);
		if (parsed.type === 'help') return print(io, parsed.text);
		const { runImage } = await import('./run-image.js');
		return runImage(parsed.value, parsed.rest ?? [], io);
	},
	version: (_argv, io) => Promise.resolve(print(io, `s2oci ${readVersion()}\n`)),
	help: ([topic], io) => (topic === undefined ? Promise.resolve(print(io, HELP)) : findCommand(topic)(['--help'], io)),
};

/** Runs the command line `argv`, without the program's name; resolves with the exit status and never rejects. */
export async function main(argv: readonly string[], io: CommandIo): Promise<number> {
	outliveReaders(io);
	try {
		const [name = 'help', ...rest] = argv;
		return await findCommand(ALIASES.get(name) ?? name)(rest, io);
	} catch (error) {
		io.stderr.write(renderError(error, useColor(io)));
		return exitCodeOf(error);
	}
}

const ALIASES: ReadonlyMap<string, string> = new Map([
	['--help', 'help'],
	['-h', 'help'],
	['--version', 'version'],
]);

function findCommand(name: string): Command {
	const found = Object.hasOwn(commands, name) ? commands[name] : undefined;
	if (found !== undefined) return found;
	const near = closest(name, Object.keys(commands));
	throw new BuildError('USAGE', `there is no command ${JSON.stringify(redact(name).slice(0, 50))}`, {
		hint: near === undefined ? 'See s2oci help.' : `Did you mean s2oci ${near}?`,
	});
}

function print(io: CommandIo, text: string): number {
	io.stdout.write(text);
	return 0;
}

function seeHelp(command: string): string {
	return `See s2oci ${command} --help.`;
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
