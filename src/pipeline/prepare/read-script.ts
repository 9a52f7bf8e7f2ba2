import { lstat, readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { BuildError, type ErrorCode, errnoOf, isBuildError, messageOf } from '../../errors.js';
import type { Http } from '../../http/http.js';
import { redact } from '../../redact.js';
import { type ScriptAddress, type ScriptKind, type ScriptName, scriptKind } from '../../s2i/scripts.js';

/** A script that is not the image's. */
export interface ExternalScript {
	readonly bytes: Uint8Array;
	readonly kind: ScriptKind;
	/** Kept when the script is placed; undefined is the present. */
	readonly modified: Date | undefined;
	/** Path to be removed once the script is placed: scripts of the source are moved. */
	readonly remove: string | undefined;
}

const MAX_DOWNLOAD = 1 << 20;
const MAX_FILE = 64 << 20;

/**
 * The script at `path` of the source in `directory`, at most 64 MiB; links are followed within the source. Undefined when there is
 * none. Throws SCRIPT_INVALID for what cannot be a script.
 */
export async function readSourceScript(directory: string, path: string): Promise<ExternalScript | undefined> {
	const file = join(directory, path);
	if ((await lstat(file).catch(absent)) === undefined) return undefined;
	const text = `${path} in the source`;
	const real = await realpath(file).catch(() => undefined);
	// A link of a hostile repository must not make a file of the host a script of the image.
	if (real?.startsWith(`${await realpath(directory)}${sep}`) !== true)
		throw invalid(text, 'is a link that leads nowhere in the source', 'Put the script itself there.');
	const read = await readFileAt(real, text, 'SCRIPT_INVALID');
	return read && { ...checked(read.bytes, text), modified: read.modified, remove: file };
}

/** The script at `path` of the host, at most 64 MiB. Undefined when there is none. Throws USAGE, SCRIPT_INVALID. */
export async function readHostScript(path: string): Promise<ExternalScript | undefined> {
	const read = await readFileAt(path, redact(path), 'USAGE');
	return read && { ...checked(read.bytes, redact(path)), modified: undefined, remove: undefined };
}

/**
 * The script `name` from its URL, which only the image named unless it was `given`, at most 1 MiB; undefined when the server says that it is not there. Throws HTTP_FAILED,
 * SCRIPT_INVALID for an empty or an HTML answer.
 */
export async function readWebScript(
	name: ScriptName,
	{ url, text, given }: ScriptAddress & { readonly kind: 'http'; readonly given: boolean },
	http: Pick<Http, 'get'>,
	signal: AbortSignal,
): Promise<ExternalScript | undefined> {
	try {
		const { body } = await http.get(url, { maxBytes: MAX_DOWNLOAD, ...(given ? {} : { namedBy: 'image' }) }, signal);
		const bytes = await buffer(body);
		const script = checked(bytes, text);
		const hint = 'Does the server ask for a login? Check the URL with curl; credentials go into it as name:token@host.';
		if (script.kind === 'html') throw invalid(text, 'is an HTML page, not a script', hint);
		if (bytes.length === 0) throw invalid(text, 'is empty', hint);
		return { ...script, modified: undefined, remove: undefined };
	} catch (error) {
		if (isBuildError(error, 'HTTP_NOT_FOUND')) return undefined;
		if (!isBuildError(error, 'HTTP_FAILED')) throw error;
		const options = { cause: error, ...(error.hint !== undefined && { hint: error.hint }) };
		throw new BuildError('HTTP_FAILED', `the ${name} script cannot be downloaded: ${error.message}`, options);
	}
}

function checked(bytes: Uint8Array, text: string): Pick<ExternalScript, 'bytes' | 'kind'> {
	const kind = scriptKind(bytes);
	if (kind === 'marked') {
		const why = 'begins with a byte order mark, so that the kernel does not see a #! line';
		throw invalid(text, why, 'Save it as UTF-8 without a byte order mark.');
	}
	if (kind !== 'windows') return { bytes, kind };
	throw invalid(
		text,
		'has Windows line ends: the kernel would look for an interpreter whose name ends with a carriage return',
		'Convert it with dos2unix; "*/bin/* text eol=lf" in .gitattributes keeps git from bringing them back.',
	);
}

async function readFileAt(
	path: string,
	text: string,
	code: ErrorCode,
): Promise<{ readonly bytes: Buffer; readonly modified: Date } | undefined> {
	try {
		const stats = await stat(path);
		if (!stats.isFile() || stats.size > MAX_FILE)
			throw invalid(text, 'is not a file of at most 64 MiB', 'Put the script itself there.');
		return { bytes: await readFile(path), modified: stats.mtime };
	} catch (error) {
		if (isBuildError(error)) throw error;
		if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
		throw new BuildError(code, `${text} cannot be read: ${redact(messageOf(error))}`, {
			hint: 'Check its permissions.',
			cause: error,
		});
	}
}

function absent(error: unknown): undefined {
	if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR') throw error;
}

function invalid(text: string, problem: string, hint: string): BuildError {
	return new BuildError('SCRIPT_INVALID', `${text} ${problem}`, { hint });
}
