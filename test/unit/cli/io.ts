import { Writable } from 'node:stream';
import { main } from '../../../src/cli/main.js';
import type { ArgumentTree, Grammar, Reading, Values } from '../../../src/cli/options.js';
import { parseCommand } from '../../../src/cli/parse-command.js';

/** What a command line printed, and its exit status. */
export interface Ran {
	readonly status: number;
	readonly stdout: string;
	readonly stderr: string;
}

/** A stream that remembers what was written to it. */
function memoryStream(): { readonly stream: Writable; readonly text: () => string } {
	const chunks: Buffer[] = [];
	const stream = new Writable({
		write: (chunk: Buffer, _encoding, done) => {
			chunks.push(chunk);
			done();
		},
	});
	return { stream, text: () => Buffer.concat(chunks).toString('utf8') };
}

/** Runs `argv` in this process, with no terminal. */
export async function runMain(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
	const stdout = memoryStream();
	const stderr = memoryStream();
	const status = await main(argv, { stdout: stdout.stream, stderr: stderr.stream, env: { HOME: '/home/ada', ...env } });
	return { status, stdout: stdout.text(), stderr: stderr.text() };
}

/** The arguments of a command line that does not ask for help; `emit` gets what is to be told of them. */
export async function argumentsOf<A extends ArgumentTree>(
	grammar: Grammar<A>,
	argv: readonly string[],
	{ emit, ...reading }: Partial<Reading> = {},
): Promise<Values<A>> {
	const parsed = await parseCommand(grammar, argv, reading);
	if (parsed.type === 'help') throw new Error('help');
	for (const event of parsed.events) emit?.(event);
	return parsed.value;
}
