import { stripVTControlCharacters } from 'node:util';
import { runSafely, setDefaultHelpFormatter } from 'cmd-ts';
import type { Grammar } from './options.js';

interface Topic {
	readonly category: string;
	readonly usage: string;
	readonly description: string;
}

interface HelpData {
	readonly name: string;
	readonly description?: string;
	readonly helpTopics: readonly Topic[];
	readonly examples?: readonly { readonly description: string; readonly command: string }[];
}

/** The help of `command`: what it does, its usage, arguments, options and examples. Ends with a line break. */
export async function renderHelp<T>(command: Grammar<T>): Promise<string> {
	setDefaultHelpFormatter({ formatCommand, formatSubcommands: ({ name }) => name });
	const help = await runSafely(command, ['--help']);
	return help._tag === 'error' ? stripVTControlCharacters(help.error.config.message) : '';
}

function formatCommand(data: HelpData): string {
	const topics = (...categories: readonly string[]) =>
		data.helpTopics.filter(({ category }) => categories.includes(category));
	const positionals = topics('arguments').map(({ usage }) => usage);
	return [
		data.description ?? '',
		'',
		`Usage: ${[data.name, ...positionals].join(' ')} [options]`,
		...section('Arguments', topics('arguments')),
		...section('Options', topics('options', 'flags')),
		'',
		'Examples:',
		...(data.examples ?? []).flatMap(({ description, command }) => [`  ${description}`, `    ${command}`, '']),
	].join('\n');
}

function section(title: string, topics: readonly Topic[]): readonly string[] {
	const rows = topics.map(({ usage, description }) => ({ usage: formatUsage(usage), description }));
	const width = Math.max(...rows.map(({ usage }) => usage.length));
	return ['', `${title}:`, ...rows.map(({ usage, description }) => `  ${usage.padEnd(width)}  ${description}`)];
}

/** cmd-ts writes `--env <NAME=VALUE>, -e=<NAME=VALUE>`, `--ref, -r <REF>` and `--copy, -c`. */
function formatUsage(usage: string): string {
	const match = /^(--[\w-]+)(?: <[^>]*>)?(?:, (-\w))?(?:[ =](<[^>]*>))?$/.exec(usage);
	const value = /<([^>]*)>/.exec(usage)?.[1];
	if (match === null) return usage;
	const [, long = '', short] = match;
	return `${short === undefined ? '   ' : `${short},`} ${long}${value === undefined ? '' : ` ${value}`}`;
}
