import { type ArgumentTree, type Grammar, type OptionSpec, optionsOf, positionalsOf } from './options.js';
import { EXAMPLES, EXIT_STATUS, overviewOfCommands, PURPOSE } from './overview.js';

const NAMES =
	'The names s2i and sti, by which links may call the program, have the command lines and exit statuses of S2I.';
const SPECIAL: Readonly<Record<string, string>> = {
	'\\': '\\e',
	'-': '\\-',
	"'": '\\(aq',
	'`': '\\(ga',
	'^': '\\(ha',
	'~': '\\(ti',
	'"': '\\(dq',
};

/** The manual page s2oci(1), of version `version`, as roff that man(7) describes. */
export function renderProgramPage(version: string): string {
	const commands = overviewOfCommands();
	const pages = commands.map(([words]) => firstWord(words)).filter((name) => name !== 'help');
	return [
		...begin('s2oci', 'Source-to-Image builder that needs no daemon and no root', version),
		...heading('SYNOPSIS', [`${bold('s2oci')} ${italic('command')} [${italic('arguments')}]`]),
		...heading('DESCRIPTION', [roff(PURPOSE), '.PP', roff(NAMES)]),
		...heading(
			'COMMANDS',
			commands.flatMap(([words, summary]) => item(synopsisOf(words), summary)),
		),
		...heading('OPTIONS', [
			...item(`${bold('-h')}, ${bold('--help')}`, 'show the commands, or behind a command its options'),
			...item(bold('--version'), 'print the version'),
		]),
		...heading(
			'EXIT STATUS',
			EXIT_STATUS.flatMap(([status, meaning]) => item(bold(status), meaning)),
		),
		...heading(
			'EXAMPLES',
			EXAMPLES.flatMap(({ description, commands: lines }) => example(description, lines)),
		),
		...heading('SEE ALSO', seeAlso(pages.map((name) => `s2oci-${name}`))),
		'',
	].join('\n');
}

/** The manual page of the command of `grammar`, such as s2oci-build(1). */
export function renderCommandPage(grammar: Grammar<ArgumentTree>, version: string): string {
	const positionals = positionalsOf(grammar);
	const options = optionsOf(grammar);
	const titles = [...new Set([...options.map(({ section }) => section), 'General'])];
	const arguments_ = positionals.map(({ value, required }) => (required ? italic(value) : `[${italic(value)}]`));
	const synopsis = [bold(`s2oci ${grammar.name}`), ...arguments_, `[${italic('options')}]`].join(' ');
	return [
		...begin(`s2oci-${grammar.name}`, firstSentence(grammar.description), version),
		...heading('SYNOPSIS', [synopsis]),
		...heading('DESCRIPTION', [roff(grammar.description)]),
		...heading(
			'ARGUMENTS',
			positionals.flatMap(({ value, description }) => item(italic(value), description)),
		),
		'.SH OPTIONS',
		...titles.flatMap((title) =>
			subheading(
				title,
				options.filter(({ section }) => section === title),
			),
		),
		...heading(
			'EXAMPLES',
			grammar.examples.flatMap(({ description, command }) => example(description, [command])),
		),
		...heading('SEE ALSO', seeAlso(['s2oci'])),
		'',
	].join('\n');
}

/** No date: the same source gives the same page. */
function begin(name: string, purpose: string, version: string): readonly string[] {
	return [
		`.TH ${roff(name.toUpperCase())} 1 "" "${roff(`s2oci ${version}`)}" "${roff('s2oci manual')}"`,
		// Lines end at words, and commands can be copied.
		'.nh',
		'.ad l',
		...heading('NAME', [roff(`${name} - ${purpose}`)]),
	];
}

function heading(title: string, lines: readonly string[]): readonly string[] {
	return lines.length === 0 ? [] : [`.SH ${title}`, ...lines];
}

function subheading(title: string, options: readonly OptionSpec[]): readonly string[] {
	const help = title === 'General' ? item(`${bold('-h')}, ${bold('--help')}`, 'show the options') : [];
	return [`.SS ${roff(title)}`, ...options.flatMap(describeOption), ...help];
}

function describeOption({ long, short, value, description, repeatable }: OptionSpec): readonly string[] {
	const names = [...(short === undefined ? [] : [bold(`-${short}`)]), bold(`--${long}`)].join(', ');
	const usage = value === undefined ? names : `${names} ${italic(value)}`;
	return item(usage, repeatable ? `${description} (repeatable)` : description);
}

function item(term: string, text: string): readonly string[] {
	return ['.TP', term, roff(text)];
}

function example(description: string, lines: readonly string[]): readonly string[] {
	return ['.PP', roff(`${description}:`), '.PP', '.RS 4', '.nf', ...lines.map(roff), '.fi', '.RE'];
}

function seeAlso(names: readonly string[]): readonly string[] {
	return [names.map((name) => `${bold(name)}(1)`).join(', ')];
}

function synopsisOf(words: string): string {
	const name = firstWord(words);
	const rest = words.slice(name.length).trim();
	return rest === '' ? bold(name) : `${bold(name)} ${roff(rest)}`;
}

function firstWord(words: string): string {
	return words.split(' ')[0] ?? '';
}

function firstSentence(description: string): string {
	const [first = ''] = description.split(/[.:\n](?:\s|$)/);
	return `${first[0]?.toLowerCase() ?? ''}${first.slice(1)}`;
}

function bold(text: string): string {
	return `\\fB${roff(text)}\\fR`;
}

function italic(text: string): string {
	return `\\fI${roff(text)}\\fR`;
}

/** `text` as one line that roff prints as it is: no word of it is taken for a request, and quotes and hyphens can be copied. */
function roff(text: string): string {
	const plain = text.replaceAll('\n', ' ').replace(/[\\\-'`^~"]|[^\0-\x7f]/gu, (character) => {
		return SPECIAL[character] ?? `\\[u${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`;
	});
	return plain.startsWith('.') ? `\\&${plain}` : plain;
}
