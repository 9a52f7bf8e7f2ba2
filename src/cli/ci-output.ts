import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, appendFile, lstat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BuildError, errnoOf, messageOf } from '../errors.js';
import type { Digest } from '../oci/digest.js';
import { writeOutputFile } from '../output-file.js';
import type { Emit } from '../pipeline/events.js';
import type { BuildResult } from '../pipeline/result.js';
import { redact } from '../redact.js';
import type { CiEngine, CiOutput } from './ci-engine.js';
import { formatBytes } from './format.js';

/** A file for the next step of a job. */
export interface JobFile {
	readonly path: string;
	readonly text: string;
	/** Whether other steps write to it as well. */
	readonly append: boolean;
}

/** All results of a Tekton task together may have so many bytes (docs/tasks.md of Tekton), names and JSON around them included. */
const TEKTON_BYTES = 4096;
const TEKTON_ENTRY = 64;
/** So that a message fits beside its reason, whatever characters it has. */
const MESSAGE_CHARACTERS = 1000;

/**
 * What a job of `engine` is told of a build: of one that failed only Shipwright hears. The image is its first target with its digest. Values
 * come from outside: no value can end its own line or file and begin another.
 */
export function jobFiles(output: CiOutput, result: BuildResult): readonly JobFile[] {
	const [first] = output.paths;
	if (first === undefined) return [];
	if (!result.success) return output.engine === 'shipwright' ? resultFiles(first, failureOf(result)) : [];
	return result.digest === undefined ? [] : builtFiles(output, first, { ...result, digest: result.digest });
}

function builtFiles(
	{ engine, paths: [, second] }: CiOutput,
	first: string,
	result: BuildResult & { readonly digest: Digest },
): readonly JobFile[] {
	const { name, digest } = result;
	const image = name === undefined ? digest : `${name}@${digest}`;
	switch (engine) {
		case 'github': {
			const outputs = { path: first, text: githubValue('image', image) + githubValue('digest', digest), append: true };
			return second === undefined ? [outputs] : [outputs, { path: second, text: summary(image, result), append: true }];
		}
		case 'gitlab':
			return [{ path: first, text: `IMAGE=${oneLine(image)}\nDIGEST=${digest}\n`, append: false }];
		case 'jenkins':
			return [{ path: first, text: `IMAGE=${property(image)}\nDIGEST=${digest}\n`, append: false }];
		case 'tekton':
			return resultFiles(first, tektonResults(result));
		case 'shipwright':
			return resultFiles(first, [
				['shp-image-digest', digest],
				['shp-image-size', String(result.size ?? '')],
			]);
	}
}

type Results = readonly (readonly [name: string, text: string])[];

/** As many results as all together may have, each a file of a directory; those that say nothing are left out. */
function resultFiles(directory: string, results: Results): readonly JobFile[] {
	let left = TEKTON_BYTES;
	const fitting = results.filter(([name, text]) => {
		left -= Buffer.byteLength(name) + Buffer.byteLength(text) + TEKTON_ENTRY;
		return left >= 0 && text !== '';
	});
	return fitting.map(([name, text]) => ({ path: join(directory, name), text, append: false }));
}

/** A reason is one word that begins with a capital (docs/buildstrategies.md of Shipwright, "System results"). */
function failureOf({ error }: BuildResult): Results {
	if (error === undefined) return [];
	const reason = error.code.toLowerCase().replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
	const message = oneLine(error.hint === undefined ? error.message : `${error.message} ${error.hint}`);
	return [
		['shp-error-reason', reason],
		['shp-error-message', message.slice(0, MESSAGE_CHARACTERS)],
	];
}

/** With a delimiter that nobody can guess (GitHub: workflow commands, multiline strings). */
function githubValue(name: string, value: string): string {
	const delimiter = `s2oci_${randomBytes(16).toString('hex')}`;
	return `${name}<<${delimiter}\n${value}\n${delimiter}\n`;
}

function summary(image: string, { builder, source, layer, rung, reused }: BuildResult): string {
	const rows = [
		['Image', image],
		['Builder', builder && `${builder.name}@${builder.digest}`],
		['Source', source && redact(`${source.location}${source.commit === undefined ? '' : ` at ${source.commit}`}`)],
		[
			'Layer',
			layer && `${formatBytes(layer.size)}: ${layer.added} added, ${layer.changed} changed, ${layer.deleted} deleted`,
		],
		['Rung', rung && `${rung.number} (${rung.sandbox})`],
	].flatMap(([what, value]) => (value === undefined ? [] : [`| ${what} | ${code(value)} |\n`]));
	return `### s2oci ${reused === true ? 'named the image again' : 'built an image'}\n\n| | |\n|---|---|\n${rows.join('')}\n`;
}

/** As text in a cell of a table, whatever it is. */
function code(text: string): string {
	const escaped = oneLine(text).replace(/[&<>|`[\]*_~\\]/g, (character) => `&#${String(character.charCodeAt(0))};`);
	return `<code>${escaped}</code>`;
}

function oneLine(text: string): string {
	return redact(text).replace(/\s+/g, ' ').trim();
}

/** A value of java.util.Properties. */
function property(text: string): string {
	return oneLine(text)
		.replaceAll('\\', '\\\\')
		.replace(/[^ -~]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The type hints of Tekton Chains (docs/slsa-provenance.md): the image, and as inputs the commit and the builder. */
function tektonResults({ name, digest, builder, source }: BuildResult): Results {
	const isGit = source?.commit !== undefined && /^(?:https?|ssh|git):\/\//.test(source.location);
	const git: Results = isGit
		? [
				['CHAINS-GIT_URL', oneLine(source.location)],
				['CHAINS-GIT_COMMIT', source.commit ?? ''],
			]
		: [];
	const made = builder && JSON.stringify({ uri: withoutTag(builder.name), digest: builder.digest });
	return [
		['IMAGE_URL', oneLine(withoutTag(name ?? ''))],
		['IMAGE_DIGEST', digest ?? ''],
		...git,
		['BUILDER_ARTIFACT_INPUTS', made ?? ''],
	];
}

function withoutTag(name: string): string {
	return name.replace(/@[^/]*$/, '').replace(/:[^/:]*$/, '');
}

/**
 * `output`, when all that it names can be written now. Otherwise it throws OUTPUT_FAILED, before anything is built, if the user asked for it, and
 * else tells `emit` what the next step will lack: a program in a container of its own may have an engine's variables without its files.
 */
export async function writableOutput(output: CiOutput | undefined, emit: Emit): Promise<CiOutput | undefined> {
	if (output === undefined) return undefined;
	try {
		await checkWritable(output);
		return output;
	} catch (error) {
		if (output.isAsked) throw error;
		emit({
			type: 'warning',
			code: 'CI_OUTPUT',
			message: `the next step is not told what is built: ${messageOf(error)}`,
		});
		return undefined;
	}
}

async function checkWritable({ engine, paths }: CiOutput): Promise<void> {
	if (paths.length === 0) {
		throw new BuildError('OUTPUT_FAILED', '--ci-output github: $GITHUB_OUTPUT is not set', {
			hint: 'It is set by the runner for each step; pass it on, name a file with --ci-output-path, or give --ci-output none.',
		});
	}
	for (const path of paths) {
		const isDirectory = engine === 'tekton' || engine === 'shipwright';
		const target = isDirectory || (await lstat(path).catch(() => undefined)) !== undefined ? path : dirname(path);
		await access(target, constants.W_OK).catch((cause: unknown) => {
			throw refused(engine, path, cause, 'Nothing was built. ');
		});
	}
}

/** Writes for the next step how a build ended. Throws OUTPUT_FAILED. */
export async function writeCiOutput(output: CiOutput, result: BuildResult): Promise<void> {
	for (const { path, text, append } of jobFiles(output, result)) {
		await (append ? appendFile(path, text) : writeOutputFile(path, text)).catch((cause: unknown) => {
			throw refused(output.engine, path, cause, 'The image itself is complete. ');
		});
	}
}

function refused(engine: CiEngine, path: string, cause: unknown, state: string): BuildError {
	const why = errnoOf(cause) ?? messageOf(cause);
	const what = JSON.stringify(redact(path).slice(0, 200));
	return new BuildError('OUTPUT_FAILED', `${what}, for the next step on ${engine}, cannot be written: ${why}`, {
		hint: `${state}Name another place with --ci-output-path, or give --ci-output none.`,
		cause,
	});
}
