import type { ImageLocation } from '../../content/location.js';
import { BuildError } from '../../errors.js';
import { workingDirectory } from '../../host-path.js';
import type { DockerfileRequest } from '../../pipeline/dockerfile/write-dockerfile.js';
import type { Emit } from '../../pipeline/events.js';
import type { BuildRequest } from '../../pipeline/request.js';
import type { BuildOutcome } from '../../pipeline/result.js';
import {
	type BuildArguments,
	buildArguments,
	readBuildRequest,
	readDockerfileRequest,
	runOf,
} from '../build-request.js';
import { checkCombination, checkFiles, readPipedVariables } from '../check-request.js';
import { readCiOutput } from '../ci-engine.js';
import { writableOutput } from '../ci-output.js';
import { describeRequest } from '../describe-request.js';
import { exitStatusOf } from '../exit-code.js';
import { type ImageNames, openImageNames } from '../image-names.js';
import { optionsOf } from '../options.js';
import { conclude, type Ended, type OutcomeFiles, type ReportArguments, withReport, writeFiles } from '../outcome.js';
import type { CommandContext, Completed, Definition } from '../parse-command.js';
import type { ProgramName, Word } from '../words.js';

/** `s2oci build`. */
export const command: Definition<typeof buildArguments> = {
	name: 'build',
	description: 'Build an image from source code and an S2I builder image, and push it.',
	examples: [
		{
			description: 'Build this directory and push the result',
			command: 's2oci build . quay.io/sclorg/nodejs-22-c9s registry.example/team/app:1.2',
		},
		{
			description: 'Build a directory of a branch of a git repository',
			command:
				's2oci build https://example.org/app.git quay.io/sclorg/python-312-c9s reg.example/app --ref main --context-dir web',
		},
		{
			description: 'Build uncommitted changes too, into an OCI layout on disk, and try it',
			command: 's2oci build . quay.io/sclorg/nodejs-22-c9s oci:./image:latest --copy --run',
		},
		{
			description: 'Give assemble a token that does not stay in the image, and reuse what the last build downloaded',
			command: 's2oci build . quay.io/sclorg/nodejs-22-c9s reg.example/app --secret id=npm,env=NPM_TOKEN --incremental',
		},
		{
			description: 'Use the digest in a script',
			command: 'IMAGE=$(s2oci build . quay.io/sclorg/nodejs-22-c9s reg.example/app --env NODE_ENV=production)',
		},
		{
			description: 'Build what a BuildConfig of OpenShift says',
			command: 's2oci build --build-config app.yaml --image-stream nodejs=quay.io/sclorg/nodejs-20-c9s',
		},
	],
	args: buildArguments,
	passesOver: true,
	/**
	 * Builds what the command line asks for, or writes its Dockerfile; resolves with the exit status, that of the program with `--run`. Prints
	 * `name@digest` on stdout when the image was built.
	 */
	perform: async (line, { io, program }) => {
		const names = openImageNames({ env: line.env, program });
		const args = await nameImages(line.value, names);
		const events = [...line.events, ...names.notices()];
		const { mode, output, report } = args;
		const ci = readCiOutput(output.ci, line.env);
		const files = { ...output.files, ci: await writableOutput(ci, (event) => events.push(event)) };
		const request = await checkedRequest(args, line.adapt(readBuildRequest(args, line)), (event) => events.push(event));
		const dockerfile = mode.asDockerfile === undefined ? undefined : readDockerfileRequest(args, request);
		if (dockerfile !== undefined) refuseOutputs(args);
		for (const message of describeRequest(request)) events.push({ type: 'log', level: 2, message });
		let built: ImageLocation | undefined;
		const status = await withReport({ ...report, ci: ci?.engine }, io, events, async (emit, signal): Promise<Ended> => {
			if (mode.useConfig) await storeConfig(line.words);
			if (dockerfile !== undefined) {
				await writeRecorded(dockerfile, output.files, emit, signal);
				return { status: 0 };
			}
			const { build } = await import('../../pipeline/build.js');
			const outcome = await build(request, emit, signal);
			built = builtImage(request, outcome);
			return conclude(outcome, files);
		});
		return mode.run && status === 0 && built !== undefined
			? runBuilt(built, request, { ...report, ci: ci?.engine }, { io, program })
			: status;
	},
	complete: completeBuild,
};

/** `asked` once it was found to make sense, with what can be read once only. What its files are refused for is told to its callback. */
async function checkedRequest(args: BuildArguments, asked: BuildRequest, emit: Emit): Promise<BuildRequest> {
	checkCombination(args, asked, emit);
	try {
		await checkFiles(asked, args.output.files);
		return await readPipedVariables(asked);
	} catch (error) {
		const { tellFailure } = await import('../../pipeline/callback/report-callback.js');
		await tellFailure(asked, error);
		throw error;
	}
}

/** `args` with names that say where each image is. A Dockerfile makes no image, so its tag is a name only. */
async function nameImages(args: BuildArguments, names: ImageNames): Promise<BuildArguments> {
	const { runtime, incremental, mode, tag, output } = args;
	const { previousImage: previous } = incremental;
	const named = {
		...args,
		builder: await names.source(args.builder, args.pullPolicy),
		runtime: { ...runtime, image: runtime.image && (await names.source(runtime.image, runtime.pullPolicy)) },
		incremental: { ...incremental, previousImage: previous && (await names.source(previous, incremental.pullPolicy)) },
	};
	if (mode.asDockerfile !== undefined) return named;
	const target = tag && (await names.target(tag));
	const outputs: string[] = [];
	for (const each of output.outputs) outputs.push(await names.target(each));
	return { ...named, tag: target, output: { ...output, outputs } };
}

/**
 * What `.s2ifile` adds to the words of `s2oci build` when they have `--use-config`, or a BuildConfig with `--build-config`; and under the name `sti` builds are incremental, as in
 * 2014, unless the words say otherwise.
 */
export async function completeBuild(words: readonly Word[], program: ProgramName): Promise<Completed> {
	const restored = names('build-config', words) ? await readFromBuildConfig(words) : await restore(words);
	const saysSo = restored.words.some((word) => word.type === 'flag' && word.long === 'incremental');
	const options = restored.words.flatMap((word) => (word.type === 'option' ? [word.long] : []));
	if (options.includes('runtime-image') || options.includes('as-dockerfile')) return restored;
	const hasTag = restored.words.filter(({ type }) => type === 'positional').length > 2;
	if (program !== 'sti' || saysSo || !hasTag) return restored;
	return { ...restored, words: [...restored.words, { type: 'flag', long: 'incremental', on: true }] };
}

function names(long: string, words: readonly Word[]): boolean {
	return words.some((word) => word.type === 'option' && word.long === long && word.value !== '');
}

async function readFromBuildConfig(words: readonly Word[]): Promise<Completed> {
	if (words.some((word) => word.type === 'flag' && word.long === 'use-config' && word.on)) {
		throw new BuildError('USAGE', '--use-config and --build-config exclude each other', {
			hint: 'Leave one of them out.',
		});
	}
	const { completeFromBuildConfig } = await import('../build-config.js');
	return completeFromBuildConfig(words);
}

/** Writes the Dockerfile, and the result file as after a build. */
async function writeRecorded(
	request: DockerfileRequest,
	files: OutcomeFiles,
	emit: Emit,
	signal: AbortSignal,
): Promise<void> {
	const [{ writeDockerfile }, { untilFault }, { createRecord }] = await Promise.all([
		import('../../pipeline/dockerfile/write-dockerfile.js'),
		import('../../pipeline/give-up.js'),
		import('../../pipeline/record.js'),
	]);
	const record = createRecord(emit);
	try {
		await untilFault(writeDockerfile(request, record.emit, signal), signal);
	} catch (error) {
		await writeFiles(record.failed(error), files);
		throw error;
	}
	await writeFiles(record.succeeded(), files);
}

/** A pipeline that reads one of these next would only break later. */
function refuseOutputs({ output: { files, outputs } }: BuildArguments): void {
	const second = outputs.length > 0 ? '--output' : undefined;
	const first = files.digestFile === undefined ? second : '--digest-file';
	if (first === undefined) return;
	throw new BuildError('USAGE', `${first} and --as-dockerfile exclude each other: no image is built`, {
		hint: 'Leave one of them out.',
	});
}

async function restore(words: readonly Word[]): Promise<Completed> {
	const asked = words.findLast((word) => word.type === 'flag' && word.long === 'use-config');
	if (asked?.type !== 'flag' || !asked.on) return { words, notices: [] };
	const { readConfig, restoreWords } = await import('../config-file.js');
	const { config, notices } = await readConfig(workingDirectory());
	return {
		words: config === undefined ? words : restoreWords(words, config, optionsOf({ args: buildArguments })),
		notices: notices.map((message) => ({ code: 'DEPRECATED', message })),
	};
}

async function storeConfig(words: readonly Word[]): Promise<void> {
	const { storeWords, writeConfig } = await import('../config-file.js');
	await writeConfig(workingDirectory(), storeWords(words, optionsOf({ args: buildArguments })));
}

/** The first target, by its digest where that is a name. */
function builtImage({ output }: BuildRequest, { result }: BuildOutcome): ImageLocation | undefined {
	const [first] = output.targets;
	if (first?.type !== 'registry' || result.digest === undefined) return first;
	return { ...first, reference: { ...first.reference, digest: result.digest } };
}

function runBuilt(
	image: ImageLocation,
	request: BuildRequest,
	report: ReportArguments,
	{ io, program }: CommandContext,
): Promise<number> {
	return withReport(report, io, [], async (emit, signal) => {
		const { run } = await import('../../pipeline/run-image.js');
		return { status: exitStatusOf(await run(runOf(request, image), emit, signal), program) };
	});
}
