import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, appendFile, lstat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BuildError, errnoOf, messageOf } from '../errors.js';
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

/**
 * What a job of `engine` is told of a successful build. The image is its first target with its digest. Values come from outside: no value
 * can end its own line or file and begin another.
 */
export function jobFiles({ engine, paths: [first, second] }: CiOutput, result: BuildResult): readonly JobFile[] {
	const { name, digest } = result;
	if (first === undefined || digest === undefined) return [];
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
			return tektonResults(result).map(([file, text]) => ({ path: join(first, file), text, append: false }));
	}
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

/** The type hints of Tekton Chains (docs/slsa-provenance.md): the image, and as inputs the builder and the commit, as far as there is room. */
function tektonResults({ name, digest, builder, source }: BuildResult): readonly (readonly [string, string])[] {
	const isGit = source?.commit !== undefined && /^(?:https?|ssh|git):\/\//.test(source.location);
	const wanted: readonly (readonly [string, string])[] = [
		['IMAGE_URL', oneLine(withoutTag(name ?? ''))],
		['IMAGE_DIGEST', digest ?? ''],
		...(isGit
			? ([
					['CHAINS-GIT_URL', oneLine(source.location)],
					['CHAINS-GIT_COMMIT', source.commit ?? ''],
				] as const)
			: []),
		...(builder === undefined
			? []
			: [
					[
						'BUILDER_ARTIFACT_INPUTS',
						JSON.stringify({ uri: withoutTag(builder.name), digest: builder.digest }),
					] as const,
				]),
	];
	let left = TEKTON_BYTES;
	return wanted.filter(([file, text]) => {
		left -= Buffer.byteLength(file) + Buffer.byteLength(text) + TEKTON_ENTRY;
		return left >= 0 && text !== '';
	});
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
		const target =
			engine === 'tekton' || (await lstat(path).catch(() => undefined)) !== undefined ? path : dirname(path);
		await access(target, constants.W_OK).catch((cause: unknown) => {
			throw refused(engine, path, cause, 'Nothing was built. ');
		});
	}
}

/** Writes for the next step what was built. Throws OUTPUT_FAILED. */
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
