import { type ArgumentTree, type Grammar, type OptionSpec, optionsOf, positionalsOf } from './options.js';
import type { ProgramName } from './words.js';

const LINE = 110;
const HELP: Row = { usage: '-h, --help', description: 'show this' };

/** The help of a command, called by `program`: what it does, its usage, arguments, options under headings, and examples. Ends with a line break. */
export function renderHelp<A extends ArgumentTree>(grammar: Grammar<A>, program: ProgramName = 's2oci'): string {
	const positionals = positionalsOf(grammar).map(({ value, required, description }) => ({
		usage: required ? `<${value}>` : `[${value}]`,
		description,
	}));
	const options = optionsOf(grammar);
	const usage = [program, grammar.name, ...positionals.map((each) => each.usage), '[options]'].join(' ');
	const titles = [...new Set([...options.map(({ section }) => section), 'General'])];
	return [
		grammar.description,
		'',
		`Usage: ${usage}`,
		...table('Arguments', positionals),
		...titles.flatMap((title) => {
			const rows = options.filter(({ section }) => section === title).map(describeOption);
			return table(title, title === 'General' ? [...rows, HELP] : rows);
		}),
		'',
		'Examples:',
		...grammar.examples.flatMap(({ description, command }) => [
			`  ${description}`,
			`    ${command.replace(/\bs2oci (?=[a-z])/g, `${program} `)}`,
			'',
		]),
	].join('\n');
}

interface Row {
	readonly usage: string;
	readonly description: string;
}

function describeOption({ long, short, value, description, repeatable }: OptionSpec): Row {
	const name = `${short === undefined ? '   ' : `-${short},`} --${long}`;
	return {
		usage: value === undefined ? name : `${name} ${value}`,
		description: repeatable ? `${description} (repeatable)` : description,
	};
}

/** Rows whose usage is too wide have their description on a line of its own. */
function table(title: string, rows: readonly Row[]): readonly string[] {
	const width = Math.min(30, Math.max(...rows.map(({ usage }) => usage.length)));
	return ['', `${title}:`, ...rows.flatMap((row) => layOut(row, width))];
}

function layOut({ usage, description }: Row, width: number): readonly string[] {
	const indent = ' '.repeat(width + 4);
	const lines = wrap(description, LINE - indent.length);
	if (usage.length > width) return [`  ${usage}`, ...lines.map((line) => `${indent}${line}`)];
	return lines.map((line, index) => (index === 0 ? `  ${usage.padEnd(width)}  ${line}` : `${indent}${line}`));
}

function wrap(text: string, width: number): readonly string[] {
	const lines: string[] = [];
	for (const word of text.split(' ')) {
		const last = lines.at(-1);
		if (last !== undefined && last.length + 1 + word.length <= width) lines.splice(-1, 1, `${last} ${word}`);
		else lines.push(word);
	}
	return lines;
}
