import { withEnvironment } from './io.js';
import type { ArgumentTree, CompletedCommand, Grammar } from './options.js';
import type { Command, Definition } from './parse-command.js';

/** A command with arguments, as the list of all shows it. */
interface Listed {
	/** What is typed behind its name. */
	readonly words: string;
	readonly summary: string;
	readonly call: Command;
	readonly load: () => Promise<Grammar<ArgumentTree>>;
}

/** The commands with arguments, in the order of the help. What each needs is loaded when it is called, so that all start fast. */
export const commands: Readonly<Record<string, Listed>> = {
	build: list(
		'<source> <builder> [<tag>]',
		'build an image, and push it when there is a tag',
		() => import('./commands/build.js'),
	),
	rebuild: list('<image> [<new-tag>]', 'build an image again as its labels say', () => import('./commands/rebuild.js')),
	index: list(
		'create <name> <image>...',
		'make one multi-platform image of images',
		() => import('./commands/image-index.js'),
	),
	fleet: list(
		'plan|run [<image>...]',
		'find images whose builder has moved on, and have them rebuilt',
		() => import('./commands/fleet.js'),
	),
	push: list('--resume <file>', 'finish the push of a build that failed there', () => import('./commands/push.js')),
	run: list('<image> [-- <command>]', 'run an image in a sandbox', () => import('./commands/run.js')),
	compare: list(
		'<image-a> <image-b>',
		'run two images and say whether they do the same',
		() => import('./commands/compare.js'),
	),
	usage: list('<image>', 'run the usage script of a builder image', () => import('./commands/usage.js')),
	create: list(
		'<imageName> <destination>',
		'write the files of a new builder image',
		() => import('./commands/create.js'),
	),
	generate: list(
		'<builder> <output>',
		'write a Dockerfile for a builder image',
		() => import('./commands/generate.js'),
	),
	convert: list(
		'<file> --to <engine>',
		'write a BuildConfig of OpenShift for another engine',
		() => import('./commands/convert.js'),
	),
	doctor: list(
		'[<registry-or-image>...]',
		'find out what builds here can use, and what is in the way',
		() => import('./commands/doctor.js'),
	),
	store: list('', 'show what is in the layer store', () => import('./commands/store.js')),
	prune: list('', 'remove layers that are no longer used', () => import('./commands/prune.js')),
	completion: list('bash|zsh|fish', 'print a script that completes commands and options', async () => {
		const { completionOf } = await import('./commands/completion.js');
		return { command: completionOf(loadCompleted) };
	}),
	version: list('', 'print the version, and what it was built from', () => import('./commands/version.js')),
};

/** Every command with arguments as its help explains it, in the order of the help. */
export function loadGrammars(): Promise<readonly Grammar<ArgumentTree>[]> {
	return Promise.all(Object.values(commands).map(({ load }) => load()));
}

/** Every command as shells complete it, in the order of the help. */
export async function loadCompleted(): Promise<readonly CompletedCommand[]> {
	const [grammars, { completedOf }] = await Promise.all([loadGrammars(), import('./options.js')]);
	const listed = grammars.map(completedOf);
	const offer = listed.map(({ name }) => name);
	const topic = { value: 'command', description: 'what to explain', required: false, several: false, offer };
	return [...listed, { name: 'help', description: 'Explain a command', options: [], positionals: [topic] }];
}

function list<A extends ArgumentTree>(
	words: string,
	summary: string,
	load: () => Promise<{ readonly command: Definition<A> }>,
): Listed {
	const call: Command = async (argv, context) => {
		const [{ command }, { parseCommand }] = await Promise.all([load(), import('./parse-command.js')]);
		const { perform, takesRest = false, complete } = command;
		const { program, io } = context;
		const parsed = await parseCommand(command, argv, { program, env: io.env, takesRest, complete });
		if (parsed.type === 'help') {
			io.stdout.write(parsed.text);
			return 0;
		}
		return perform(parsed, { program, io: withEnvironment(io, parsed.env) });
	};
	return { words, summary, call, load: async () => (await load()).command };
}
