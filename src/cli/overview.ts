import { commands } from './commands.js';
import type { ProgramName } from './words.js';

/** What the program is for, in one sentence. */
export const PURPOSE =
	'Turn source code and a Source-to-Image builder image into an OCI image, without Docker and without root.';

/** What to type first. */
export const EXAMPLES: readonly { readonly description: string; readonly commands: readonly string[] }[] = [
	{
		description: 'Build this directory and push the result',
		commands: ['s2oci build . quay.io/sclorg/nodejs-22-c9s registry.example/team/app:1.2'],
	},
	{
		description: 'Build a git repository, and try the image',
		commands: [
			's2oci build https://example.org/app.git quay.io/sclorg/python-312-c9s registry.example/app',
			's2oci run registry.example/app',
		],
	},
];

/** What each exit status means. */
export const EXIT_STATUS: readonly (readonly [status: string, meaning: string])[] = [
	['0', 'done'],
	['1', 'assemble failed'],
	['2', 'usage'],
	['3', 'registry or image'],
	['4', 'this host cannot run it'],
	['5', 'source'],
	['70', 'a bug'],
];

const S2I_STATUS =
	'Exit status, as of S2I: 0 done, 2 pull or signal, 5 store, 6 output, 11 script, 15 user, 16 empty repository, 1 all else, 70 a bug.';

const WORDS_WIDTH = 39;

/** The help of the program, called by `program`. Under the names of S2I, its exit statuses are those of `S2I_EXIT_CODES`. */
export function renderOverview(program: ProgramName): string {
	const status = `Exit status: ${EXIT_STATUS.map((row) => row.join(' ')).join(', ')}.`;
	const help = `${PURPOSE}

Usage: s2oci <command> [arguments]

Commands:
${listCommands()}
Examples:
${listExamples()}
`;
	if (program === 's2oci') return `${help}${status}\n`;
	return `${help.replace(/\bs2oci (?=[a-z<])/g, `${program} `)}${S2I_STATUS}\n`;
}

/** Every command, with what is typed behind its name. */
export function overviewOfCommands(): readonly (readonly [words: string, summary: string])[] {
	return [
		...Object.entries(commands).map(([name, { words, summary }]) => [`${name} ${words}`.trimEnd(), summary] as const),
		['help [<command>]', 'explain a command'],
	];
}

function listCommands(): string {
	return overviewOfCommands()
		.map(([words, summary]) => `  ${words.padEnd(WORDS_WIDTH)}${summary}\n`)
		.join('');
}

function listExamples(): string {
	return EXAMPLES.map(
		(example) => `  ${example.description}\n${example.commands.map((line) => `    ${line}\n`).join('')}`,
	).join('\n');
}
