import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { BuildError, errnoOf, messageOf } from '../errors.js';
import { writeByRename } from '../whole-file.js';
import type { OptionSpec } from './options.js';
import type { Word } from './words.js';

/** The content of `.s2ifile` (S2I pkg/config): what `--use-config` remembers. A list has one flag for each value: `env-0`, `env-1`. */
export interface StoredConfig {
	readonly source: string;
	readonly builderImage: string;
	readonly tag?: string | undefined;
	readonly flags: Readonly<Record<string, string>>;
}

/** What {@link readConfig} found; `notices` are for the user. */
export interface FoundConfig {
	readonly config: StoredConfig | undefined;
	readonly notices: readonly string[];
}

const NAME = '.s2ifile';
const OLD_NAME = '.stifile';
const MAX_SIZE = 64 * 1024;
/** Secrets, and the option that asks for the file. */
const NEVER_STORED: ReadonlySet<string> = new Set(['secret', 'build-env', 'use-config', 'help']);

const schema = v.object({
	source: v.string(),
	builderImage: v.string(),
	tag: v.optional(v.string()),
	flags: v.optional(v.record(v.string(), v.string()), {}),
});

/** `words` as the file remembers them. */
export function storeWords(words: readonly Word[], options: readonly OptionSpec[]): StoredConfig {
	const [source = '', builderImage = '', tag] = words.flatMap((word) =>
		word.type === 'positional' ? [word.value] : [],
	);
	const counts = new Map<string, number>();
	const flags: Record<string, string> = {};
	for (const word of words) {
		if (word.type === 'positional' || NEVER_STORED.has(word.long)) continue;
		const value = word.type === 'flag' ? String(word.on) : word.value;
		const repeatable = options.some(({ long, repeatable }) => long === word.long && repeatable);
		const index = counts.get(word.long) ?? 0;
		counts.set(word.long, index + 1);
		flags[repeatable ? `${word.long}-${index}` : word.long] = value;
	}
	return { source, builderImage, ...(tag === undefined ? {} : { tag }), flags };
}

/**
 * `words` and what `config` adds to them: options that were not given, and positional arguments that are missing. Options that do not
 * exist are left out, as are those that are never stored.
 */
export function restoreWords(
	words: readonly Word[],
	config: StoredConfig,
	options: readonly OptionSpec[],
): readonly Word[] {
	const given = words.filter((word) => word.type === 'positional');
	const stored = [config.source, config.builderImage, config.tag ?? ''].filter((value) => value !== '');
	const missing = given.length === 0 ? stored : given.length === 2 ? stored.slice(2) : [];
	return [
		...words,
		...missing.map((value): Word => ({ type: 'positional', value })),
		...options.flatMap((option) => (isGiven(words, option) ? [] : restoreOption(option, config.flags))),
	];
}

/** Reads `.s2ifile` in `directory`, else `.stifile`. What is no such file is ignored, with a notice. */
export async function readConfig(directory: string): Promise<FoundConfig> {
	for (const name of [NAME, OLD_NAME]) {
		const found = await readOne(directory, name);
		if (found === undefined) continue;
		const old = name === OLD_NAME ? [`${OLD_NAME} is deprecated: rename it to ${NAME}.`] : [];
		return { config: found.config, notices: [...old, ...found.notices] };
	}
	return { config: undefined, notices: [`there is no ${NAME} yet; it is written now`] };
}

/** Writes `.s2ifile` into `directory`, mode 0600 because `--env` may hold secrets. Throws OUTPUT_FAILED. */
export async function writeConfig(directory: string, config: StoredConfig): Promise<void> {
	try {
		// A link that a source brought along would lead the write elsewhere; a rename replaces the link.
		await writeByRename(directory, NAME, `${JSON.stringify(config, undefined, '\t')}\n`, { mode: 0o600 });
	} catch (cause) {
		throw new BuildError('OUTPUT_FAILED', `${NAME} cannot be written: ${messageOf(cause)}`, {
			hint: 'Leave out --use-config, or run s2oci in a directory that you may write.',
			cause,
		});
	}
}

async function readOne(directory: string, name: string): Promise<FoundConfig | undefined> {
	try {
		const text = await readCapped(join(directory, name));
		const config = v.parse(schema, JSON.parse(text));
		const flags = Object.keys(config.flags).map((flag) => `--${flag.replace(/-\d+$/, '')}`);
		const what = [...new Set(flags)].join(' ');
		return {
			config,
			notices: [`${name} is used${what === '' ? '' : ` for ${what}`} where the command line says nothing`],
		};
	} catch (error) {
		if (errnoOf(error) === 'ENOENT') return undefined;
		const why = errnoOf(error) ?? (error instanceof BuildError ? error.message : 'it is not what --use-config writes');
		return { config: undefined, notices: [`${name} is ignored: ${why}`] };
	}
}

async function readCapped(path: string): Promise<string> {
	const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
	try {
		const stats = await file.stat();
		if (!stats.isFile() || stats.size > MAX_SIZE) {
			throw new BuildError('USAGE', 'it is not a regular file of at most 64 KiB');
		}
		return await file.readFile('utf8');
	} finally {
		await file.close();
	}
}

function isGiven(words: readonly Word[], { long }: OptionSpec): boolean {
	return words.some((word) => word.type !== 'positional' && word.long === long);
}

function restoreOption(option: OptionSpec, flags: StoredConfig['flags']): readonly Word[] {
	const { long, value, repeatable } = option;
	if (NEVER_STORED.has(long)) return [];
	const own = Object.hasOwn(flags, long) ? flags[long] : undefined;
	if (value === undefined) return own === undefined ? [] : [{ type: 'flag', long, on: own === 'true' }];
	const single = own === undefined ? [] : readOwn(own, repeatable);
	const numbered = repeatable ? readNumbered(long, flags) : [];
	return [...single, ...numbered].map((text) => ({ type: 'option', long, value: text }));
}

/** S2I wrote a whole list into one string, `[a,b]`, which cannot be told apart again when values hold commas. */
function readOwn(text: string, repeatable: boolean): readonly string[] {
	if (!repeatable) return [text];
	const list = /^\[(.*)\]$/s.exec(text)?.[1];
	if (list === undefined) return text === '' ? [] : [text];
	return list === '' ? [] : list.split(',');
}

function readNumbered(long: string, flags: StoredConfig['flags']): readonly string[] {
	return Object.keys(flags)
		.flatMap((key) => {
			const digits = key.startsWith(`${long}-`) ? key.slice(long.length + 1) : '';
			return /^\d{1,6}$/.test(digits) ? [{ index: Number(digits), value: flags[key] ?? '' }] : [];
		})
		.sort((a, b) => a.index - b.index)
		.map(({ value }) => value);
}
