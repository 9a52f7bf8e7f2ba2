import type { Command, Perform } from './command.js';
import { withEnvironment } from './io.js';
import type { Grammar } from './options.js';
import type { ParseOptions } from './parse-command.js';

/** The commands with arguments. What each needs is loaded when it is called, so that all start fast. */
export const commands: Readonly<Record<string, Command>> = {
	build: define(async ({ program }) => {
		const [{ buildCommand }, { completeBuild, runBuild }] = await Promise.all([
			import('./build-command.js'),
			import('./run-build.js'),
		]);
		return { grammar: buildCommand, perform: runBuild, complete: (words) => completeBuild(words, program) };
	}),
	rebuild: define(async () => {
		const [{ rebuildCommand }, { runRebuild }] = await Promise.all([
			import('./rebuild-command.js'),
			import('./run-rebuild.js'),
		]);
		return { grammar: rebuildCommand, perform: runRebuild };
	}),
	run: define(async () => {
		const [{ runCommand }, { runImage }] = await Promise.all([import('./run-command.js'), import('./run-image.js')]);
		return { grammar: runCommand, perform: runImage, takesRest: true };
	}),
	usage: define(async () => {
		const [{ usageCommand }, { runUsage }] = await Promise.all([
			import('./usage-command.js'),
			import('./run-usage.js'),
		]);
		return { grammar: usageCommand, perform: runUsage };
	}),
	generate: define(async () => {
		const [{ generateCommand }, { runGenerate }] = await Promise.all([
			import('./generate-command.js'),
			import('./run-generate.js'),
		]);
		return { grammar: generateCommand, perform: runGenerate };
	}),
	create: define(async () => {
		const [{ createCommand }, { runCreate }] = await Promise.all([
			import('./create-command.js'),
			import('./run-create.js'),
		]);
		return { grammar: createCommand, perform: runCreate };
	}),
	doctor: define(async () => {
		const [{ doctorCommand }, { runDoctor }] = await Promise.all([
			import('./doctor-command.js'),
			import('./run-doctor.js'),
		]);
		return { grammar: doctorCommand, perform: runDoctor };
	}),
	store: define(async () => {
		const [{ storeCommand }, { runStore }] = await Promise.all([
			import('./store-command.js'),
			import('./run-store.js'),
		]);
		return { grammar: storeCommand, perform: runStore };
	}),
	prune: define(async () => {
		const [{ pruneCommand }, { runPrune }] = await Promise.all([
			import('./prune-command.js'),
			import('./run-prune.js'),
		]);
		return { grammar: pruneCommand, perform: runPrune };
	}),
	completion: define(async () => {
		const [{ completionCommand }, { runCompletion }] = await Promise.all([
			import('./completion-command.js'),
			import('./run-completion.js'),
		]);
		return { grammar: completionCommand, perform: runCompletion };
	}),
};

interface Definition<T> extends Pick<ParseOptions, 'complete' | 'takesRest'> {
	readonly grammar: Grammar<T>;
	readonly perform: Perform<T>;
}

function define<T>(load: (context: Parameters<Command>[1]) => Promise<Definition<T>>): Command {
	return async (argv, context) => {
		const [{ grammar, perform, takesRest, complete }, { parseCommand }] = await Promise.all([
			load(context),
			import('./parse-command.js'),
		]);
		const { program, io } = context;
		const options = { program, takesRest: takesRest ?? false, ...(complete === undefined ? {} : { complete }) };
		const parsed = await parseCommand(grammar, argv, options);
		if (parsed.type === 'help') {
			io.stdout.write(parsed.text);
			return 0;
		}
		return perform(parsed, { program, io: withEnvironment(io, { ...io.env, ...parsed.env }) });
	};
}
