import { lstat, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError } from '../../errors.js';
import type { ContainerConfig } from '../../oci/image.js';
import { type RawPath, rawPath } from '../../root-path.js';
import { type Contract, readContract } from '../../s2i/contract.js';
import type { EnvironmentVariable } from '../../s2i/environment.js';
import { planOnBuild } from '../../s2i/onbuild.js';
import type { OnBuildStep } from '../../s2i/onbuild-state.js';
import { showInstruction } from '../../s2i/onbuild-words.js';
import type { User } from '../../s2i/users.js';
import { goMatch } from '../../source/match.js';
import { executeScript } from '../assemble/execute-script.js';
import type { BuildContext } from '../context.js';
import { readEnvironment } from '../prepare/build-environment.js';
import { hostFilesOf } from '../prepare/host-files.js';
import { findUser, type Root } from '../root.js';

/** What the ONBUILD instructions of the builder image made of it. */
export interface OnBuilt {
	/** The builder's config as they left it, without ONBUILD. */
	readonly config: ContainerConfig;
	/** What that config says; volumes are still only those of the builder, since what was copied to new ones stays. */
	readonly contract: Contract;
	/** They put something at `<destination>/src`: that is what assemble gets, and it is part of the image. */
	readonly tookSource: boolean;
}

type Step<Type extends OnBuildStep['type']> = Extract<OnBuildStep, { readonly type: Type }>;

/** What all steps share. */
interface Steps {
	readonly context: BuildContext;
	/** Of the builder. */
	readonly root: Root;
	/** Host directory of the source: the build context. */
	readonly directory: string;
	/** Seconds since 1970. */
	readonly epoch: number;
	readonly environment: readonly EnvironmentVariable[];
}

/**
 * Executes the ONBUILD instructions of the builder image in `root`, the mounted builder image, with the fetched source in
 * `directory` as what COPY and ADD copy from. All are read before the first is executed. Throws IMAGE_UNSUPPORTED and IMAGE_INVALID for
 * what cannot be executed, SOURCE_NOT_FOUND for what the source lacks, ASSEMBLE_FAILED when a RUN fails.
 */
export async function runOnBuild(
	context: BuildContext,
	root: Root,
	{ directory, epoch }: { readonly directory: string; readonly epoch: number },
): Promise<OnBuilt> {
	const { request, record, images, signal } = context;
	const { image, contract } = images.builder;
	const environment = await readEnvironment(directory, request.variables);
	const plan = planOnBuild(contract.onBuild, image.config.value.config ?? {}, environment);
	const src = join(contract.destination, 'src');
	const hadSource = await isThere(src, root);
	let prepared: string | undefined;
	for (const step of plan.steps) {
		signal.throwIfAborted();
		record.emit({ type: 'log', level: 1, message: showInstruction(step.text) });
		const steps = { context, root, directory, epoch, environment };
		if (step.type === 'run') {
			const { cwd: workingDir } = step;
			if (prepared !== workingDir)
				await root.prepare({ placements: [], binds: await hostFilesOf(context), workingDir });
			prepared = workingDir;
			await run(step, steps);
		} else if (step.type === 'copy') await copy(step, steps);
		else await makeDirectory(step, steps);
	}
	const { destination, assembleUser } = request.scripts;
	const changed = readContract(plan.config, { destination, assembleUser });
	const tookSource = !hadSource && (await isThere(src, root));
	return { config: plan.config, contract: { ...changed, volumes: contract.volumes }, tookSource };
}

/**
 * `config` with the ENTRYPOINT that S2I guesses from the source in `directory` (see {@link guessEntrypoint}), for ONBUILD builds
 * without run script; `config` itself when there is nothing to guess but CMD or ENTRYPOINT. Throws SCRIPT_MISSING.
 */
export async function guessCommand(directory: string, config: ContainerConfig): Promise<ContainerConfig> {
	const entries = await readdir(directory, { withFileTypes: true });
	const files = await Promise.all(
		entries.map(async (entry) => {
			const executable = entry.isFile() && ((await stat(join(directory, entry.name))).mode & 0o111) !== 0;
			return { name: entry.name, executable };
		}),
	);
	const entrypoint = guessEntrypoint(files);
	if (entrypoint !== undefined) return { ...config, Entrypoint: [`./${entrypoint}`], Cmd: [] };
	if ((config.Entrypoint ?? []).length + (config.Cmd ?? []).length > 0) return config;
	throw new BuildError(
		'SCRIPT_MISSING',
		'there is no run script, the source has no executable file run, start, exec or execute (or .sh), and the image has no CMD',
		{ hint: 'Add an executable .s2i/bin/run to the source.' },
	);
}

/** A file of the source's root directory. */
interface RootFile {
	readonly name: string;
	/** A regular file that somebody may execute. */
	readonly executable: boolean;
}

const NAMES = /^(?:run|start|exec|execute)(?:\.sh)?$/;

/**
 * The file that an ONBUILD image without run script starts, as S2I guesses it: the first executable one, in byte order, that is
 * called run, start, exec or execute, with or without `.sh`. Undefined when there is none.
 */
export function guessEntrypoint(files: readonly RootFile[]): string | undefined {
	const names = files.flatMap(({ name, executable }) => (executable && NAMES.test(name) ? [name] : []));
	return names.sort()[0];
}

async function isThere(path: string, root: Root): Promise<boolean> {
	return (await root.stat([path])).some(({ type }) => type !== 'missing');
}

async function run(step: Step<'run'>, { context, root, epoch, environment }: Steps): Promise<void> {
	const user = await findUser(root, step.user, context.request.scripts);
	const { argv, cwd, env: image, text } = step;
	await executeScript(context, root, { argv, cwd, user, what: showInstruction(text), image, environment, epoch });
}

async function copy(step: Step<'copy'>, { context: { record }, root, directory }: Steps): Promise<void> {
	const expanded = await Promise.all(step.sources.map((source) => expandSource(directory, source)));
	const sources = expanded.flat();
	const { uid, gid } = await findOwner(step.chown, root);
	const { destination, extract, mode } = step;
	const intoDirectory = step.intoDirectory || sources.length > 1;
	const placing = { destination, intoDirectory, extract, mode, chown: step.chown !== undefined };
	const skipped = await root.copyFiles({ ...placing, from: directory, sources, owner: { uid, gid } });
	for (const path of skipped) {
		const message = `${showInstruction(step.text)} leaves out /${path}, which is neither a file, a directory nor a link`;
		record.emit({ type: 'warning', code: 'SKIPPED', message });
	}
}

async function makeDirectory({ path, user }: Step<'directory'>, { context, root }: Steps): Promise<void> {
	const { uid, gid } = await root.user(user);
	const placing = { destination: path, intoDirectory: true, extract: false, mode: undefined, chown: true };
	await root.copyFiles({ ...placing, from: context.session.scratch, sources: [], owner: { uid, gid } });
}

/** A number alone is a group as well, as Docker has it for --chown and only there. */
function findOwner(chown: string | undefined, root: Root): Promise<User> {
	return root.user(chown !== undefined && /^\d+$/.test(chown) ? `${chown}:${chown}` : (chown ?? '0:0'));
}

/**
 * The raw paths below `root` that the clean, relative pattern of a COPY or ADD means, in byte order. A pattern without `*`, `?`, `[` or
 * backslash is a path and not looked for. Links on the way are not followed, as they could lead anywhere. Throws SOURCE_NOT_FOUND
 * when a pattern matches nothing.
 */
async function expandSource(root: string, pattern: string): Promise<readonly RawPath[]> {
	if (!/[*?[\\]/.test(pattern)) return [rawPath(pattern)];
	let found: readonly string[] = [''];
	for (const part of pattern.split('/')) {
		const matched = await Promise.all(found.map((path) => matching(root, path, part)));
		found = matched.flat();
	}
	if (found.length > 0) return found.map(rawPath).sort();
	const message = `the source has nothing that is called ${JSON.stringify(pattern.slice(0, 200))}`;
	throw new BuildError('SOURCE_NOT_FOUND', message, {
		hint: 'The builder image wants to copy it (ONBUILD). Add it to the source (.s2iignore may leave it out), or use another image.',
	});
}

async function matching(root: string, path: string, part: string): Promise<readonly string[]> {
	const directory = join(root, path);
	if (!(await lstat(directory)).isDirectory()) return [];
	const names = await readdir(directory);
	return names.filter((name) => goMatch(part, name) === true).map((name) => (path === '' ? name : `${path}/${name}`));
}
