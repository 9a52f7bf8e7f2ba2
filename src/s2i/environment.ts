import { BuildError, type ErrorCode } from '../errors.js';

/** One variable of the build environment. Names hold no `=`, NUL or line break; values hold no NUL. */
export interface EnvironmentVariable {
	readonly name: string;
	readonly value: string;
}

const MAX_FILE = 1024 * 1024;
const MAX_LINE = 64 * 1024;
const EXPORT = /^\s*export[ \t]+(?=[^\s=]+\s*=)/;

/** The NAME=VALUE of `-e`: split at the first `=`, both sides trimmed, no quotes removed. Throws USAGE, without the value. */
export function parseVariable(text: string): EnvironmentVariable {
	return parseAssignment(text, '--env');
}

/** As {@link parseVariable}, for any option that takes NAME=VALUE. */
export function parseAssignment(
	text: string,
	option: '--env' | '--build-env' | '--label' | '--annotation',
): EnvironmentVariable {
	const variable = splitVariable(text);
	if (variable === undefined) {
		throw new BuildError('USAGE', `${option} must be given as NAME=VALUE`, {
			hint: 'For an empty value write NAME= with nothing behind the equals sign.',
		});
	}
	return checkVariable(variable, 'USAGE', option);
}

/** Told what of a file its author surely did not want, with file and line; never with a value. */
export type Doubt = (message: string) => void;

/**
 * The variables of a `.s2i/environment` file: lines starting with `#` and lines without `=` are skipped, nothing is unquoted or
 * expanded; `export ` before a name, which is for shells, and a byte order mark are left out. `doubt` is told of what looks wrong. Throws
 * SOURCE_INVALID with the line number for an empty or impossible name, and for files over 1 MiB or lines over 64 KiB.
 */
export function parseEnvironmentFile(text: string, doubt: Doubt = () => undefined): readonly EnvironmentVariable[] {
	return parseFile(text, { code: 'SOURCE_INVALID', name: '.s2i/environment', comment: /^#/ }, doubt);
}

/**
 * The variables of the file of `-E`, in its order: as {@link parseEnvironmentFile}, but comments begin with `#` or `//` and may be
 * indented. `name` is for messages. Throws USAGE where the other throws SOURCE_INVALID.
 */
export function parseEnvironmentOption(
	text: string,
	name: string,
	doubt: Doubt = () => undefined,
): readonly EnvironmentVariable[] {
	return parseFile(text, { code: 'USAGE', name, comment: /^\s*(?:#|\/\/)/ }, doubt);
}

/** `lists` as one list in which every name occurs once: the last value wins, at the place where the name first stood. */
export function mergeEnvironment(
	...lists: readonly (readonly EnvironmentVariable[])[]
): readonly EnvironmentVariable[] {
	const merged = new Map<string, string>();
	for (const { name, value } of lists.flat()) merged.set(name, value);
	return [...merged].map(([name, value]) => ({ name, value }));
}

/**
 * The `NAME=VALUE` strings of an image's Env as variables; an entry without `=` is a name with an empty value, as Docker reads it, and one
 * without a name is none.
 */
export function readImageEnvironment(env: readonly string[] | undefined): readonly EnvironmentVariable[] {
	const variables = (env ?? []).map((entry) => {
		const at = entry.indexOf('=');
		return at === -1 ? { name: entry, value: '' } : { name: entry.slice(0, at), value: entry.slice(at + 1) };
	});
	return mergeEnvironment(variables.filter(({ name }) => name !== ''));
}

interface FileGrammar {
	readonly code: ErrorCode;
	readonly name: string;
	readonly comment: RegExp;
}

function parseFile(text: string, { code, name, comment }: FileGrammar, doubt: Doubt): readonly EnvironmentVariable[] {
	const tooLong = (what: string) =>
		new BuildError(code, `${name} cannot be read: ${what}`, { hint: 'Keep large values in a file of the source.' });
	if (text.length > MAX_FILE) throw tooLong('the file is longer than 1 MiB');
	const lines = text.replace(/^\ufeff/, '').split('\n');
	const seen = new Map<string, { readonly value: string; readonly number: number }>();
	return lines.flatMap((line, index) => {
		const number = index + 1;
		if (line.length > MAX_LINE) throw tooLong(`line ${number} is longer than 64 KiB`);
		if (comment.test(line)) return [];
		const found = splitVariable(line.replace(EXPORT, ''));
		const variable = found && checkVariable(found, code, `${name} line ${number}`);
		const why = variable === undefined ? doubtfulLine(line) : (doubtfulVariable(variable) ?? doubtfulExport(line));
		if (why !== undefined) doubt(`${name} line ${number}: ${why}`);
		if (variable === undefined) return [];
		const before = seen.get(variable.name);
		if (before !== undefined && before.value !== variable.value) {
			doubt(`${name} line ${number}: ${variable.name} stands in line ${before.number} too; the last one counts`);
		}
		seen.set(variable.name, { value: variable.value, number });
		return [variable];
	});
}

function doubtfulExport(line: string): string | undefined {
	return EXPORT.test(line) ? 'export is left out: the file is not read by a shell' : undefined;
}

function splitVariable(text: string): EnvironmentVariable | undefined {
	const at = text.indexOf('=');
	if (at === -1) return undefined;
	return { name: text.slice(0, at).trim(), value: text.slice(at + 1).trim() };
}

function checkVariable(variable: EnvironmentVariable, code: ErrorCode, where: string): EnvironmentVariable {
	const { name, value } = variable;
	if (name === '') {
		throw new BuildError(code, `${where}: a variable has no name`, { hint: 'Write NAME=VALUE.' });
	}
	if (/[\0\r\n]/.test(name) || value.includes('\0')) {
		throw new BuildError(code, `${where}: a variable holds a NUL byte, or its name a line break`, {
			hint: 'No program could ever read such a variable; remove it.',
		});
	}
	return variable;
}

const NAME = /^[A-Za-z0-9_.-]+$/;

/** Why the author of a line without `=` wanted something else than having it left out; undefined for a blank line. */
function doubtfulLine(line: string): string | undefined {
	return line.trim() === '' ? undefined : 'it has no =, and is left out';
}

/**
 * Why the author of `variable`, which stands in a file, surely wanted something else than S2I makes of it, without the value; undefined
 * when there is no doubt. S2I neither knows quotes nor expands anything, and takes every name.
 */
function doubtfulVariable({ name, value }: { readonly name: string; readonly value: string }): string | undefined {
	if (name.startsWith('#')) return 'it is a variable, not a comment: S2I knows # only as the first character of a line';
	if (!NAME.test(name)) return `no shell can read a variable whose name is ${JSON.stringify(name.slice(0, 50))}`;
	if (/^(["']).*\1$/s.test(value)) return `the quotes around it become a part of ${name}`;
	if (value.includes('\r')) return `${name} holds a carriage return: end lines with a line feed`;
	if (value.includes('\ufffd')) return `${name} is not UTF-8`;
	if (selfReference(name).test(value)) return `${name} is not expanded: it holds its own name after a dollar sign`;
	return undefined;
}

function selfReference(name: string): RegExp {
	return new RegExp(`\\$(?:${name.replaceAll('.', '\\.')}(?![A-Za-z0-9_])|\\{${name.replaceAll('.', '\\.')}\\W)`);
}

/** bwrap takes 9,000 words, and three for each variable. */
const MAX_VARIABLES = 2000;
/** A quarter of the stack, which by default is 8 MiB, is all that execve(2) takes; arguments and what scripts add need room too. */
const MAX_BYTES = 1024 * 1024;
/** MAX_ARG_STRLEN of execve(2): for NAME=VALUE with the NUL behind it. */
const MAX_ONE = 128 * 1024 - 1;

/**
 * Refuses an environment that no process could be started with, or with which a shell takes minutes: more than 2,000 variables, 1 MiB of
 * them, or 128 KiB in one. `whose` says where it comes from. Throws IMAGE_UNSUPPORTED for an image's own, USAGE for what the build adds
 * to it.
 */
export function checkEnvironmentSize(env: Readonly<Record<string, string>>, whose: 'image' | 'build'): void {
	const variables = Object.entries(env).map(([name, value]) => ({
		name,
		bytes: Buffer.byteLength(`${name}=${value}`),
	}));
	const bytes = variables.reduce((sum, each) => sum + each.bytes + 1, 0);
	const large = variables.find((each) => each.bytes > MAX_ONE);
	if (variables.length > MAX_VARIABLES)
		throw tooLarge(whose, `has ${variables.length} variables, more than ${MAX_VARIABLES}`);
	if (large !== undefined)
		throw tooLarge(
			whose,
			`has ${large.bytes} bytes in ${JSON.stringify(large.name.slice(0, 100))}, more than ${MAX_ONE}`,
		);
	if (bytes > MAX_BYTES) throw tooLarge(whose, `has ${bytes} bytes, more than ${MAX_BYTES}`);
}

function tooLarge(whose: 'image' | 'build', what: string): BuildError {
	if (whose === 'image')
		return new BuildError(
			'IMAGE_UNSUPPORTED',
			`the environment of the image ${what}, so no program can be started in it`,
			{
				hint: 'Build the image again with less in its ENV.',
			},
		);
	return new BuildError('USAGE', `the environment of the build ${what}, so no program can be started with it`, {
		hint: 'Give less with -e, -E, --build-env and .s2i/environment: large values belong into a file of the source, or into a --secret.',
	});
}
