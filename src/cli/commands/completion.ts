import { type CompletedCommand, type Grammar, type Offer, type OptionSpec, required } from '../options.js';
import type { Definition } from '../parse-command.js';
import { oneOf } from '../values.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

const completionArguments = { shell: required('shell', 'bash, zsh or fish', [...SHELLS]) };

const grammar: Grammar<typeof completionArguments> = {
	name: 'completion',
	description: 'Print a script that teaches a shell to complete the commands and options of s2oci.',
	examples: [
		{ description: 'For this bash', command: 'source <(s2oci completion bash)' },
		{ description: 'For every zsh', command: 's2oci completion zsh > "${fpath[1]}/_s2oci"' },
		{ description: 'For every fish', command: 's2oci completion fish > ~/.config/fish/completions/s2oci.fish' },
	],
	args: completionArguments,
};

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** `s2oci completion`, which prints the script that makes a shell complete all commands, for the names s2oci, s2i and sti. */
export function completionOf(
	loadCommands: () => Promise<readonly CompletedCommand[]>,
): Definition<typeof completionArguments> {
	return {
		...grammar,
		perform: async ({ value }, { io }) => {
			const shell = oneOf('completion', SHELLS, value.shell);
			io.stdout.write(SCRIPTS[shell](await loadCommands()));
			return 0;
		},
	};
}

/** A completion script for bash 4 or newer. */
function bashScript(commands: readonly CompletedCommand[]): string {
	const names = commands.map(({ name }) => name);
	return `# bash completion of s2oci: source <(s2oci completion bash)
_s2oci() {
	local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} command='' i
	COMPREPLY=()
	# readline makes three words of --name=value
	if [[ $cur == = ]]; then cur=''; fi
	if [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD - 2]}; fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		case \${COMP_WORDS[i]} in
		${names.join(' | ')})
			command=\${COMP_WORDS[i]}
			break
			;;
		esac
	done
	case $command:$prev in
${commands.flatMap(valueCases).join('\n')}
	esac
	case $command:$cur in
	:*) _s2oci_words ${quote(names)} ;;
${commands.flatMap(wordCases).join('\n')}
	esac
}
_s2oci_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }
_s2oci_paths() {
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}
complete -F _s2oci s2oci s2i sti
`;
}

/** What may follow an option that takes a value. */
function valueCases({ name, options }: CompletedCommand): readonly string[] {
	return options.flatMap((option) => {
		if (option.value === undefined) return [];
		const patterns = spellings(option).map((spelling) => `${name}:${spelling}`);
		return [`	${patterns.join(' | ')})`, `		${offer(option.offer)}`, '		return', '		;;'];
	});
}

/** What may stand where an option or a positional argument does. */
function wordCases({ name, options, positionals }: CompletedCommand): readonly string[] {
	const [positional] = positionals.flatMap((each) => (each.offer === undefined ? [] : [each.offer]));
	const long = [...options.map((option) => `--${option.long}`), ...(options.length > 0 ? ['--help'] : [])];
	return [`	${name}:-*) _s2oci_words ${quote(long)} ;;`, `	${name}:*) ${offer(positional)} ;;`];
}

function offer(kind: Offer | undefined): string {
	if (kind === undefined) return ':';
	if (kind === 'file') return '_s2oci_paths -f';
	return kind === 'directory' ? '_s2oci_paths -d' : `_s2oci_words ${quote(kind)}`;
}

function spellings({ long, short }: OptionSpec): readonly string[] {
	return short === undefined ? [`--${long}`] : [`--${long}`, `-${short}`];
}

function quote(words: readonly string[]): string {
	return `'${words.join(' ')}'`;
}

/** A completion script for fish 3 or newer. */
function fishScript(commands: readonly CompletedCommand[]): string {
	const lines = commands.flatMap(({ name, description, options, positionals }) => {
		const inCommand = `complete -c s2oci -n '__fish_seen_subcommand_from ${name}'`;
		const help = options.length > 0 ? [`${inCommand} -l help -s h -d 'show the help'`] : [];
		return [
			`complete -c s2oci -n __fish_use_subcommand -a ${name} -d ${quoteFish(description)}`,
			...options.map((option) => `${inCommand} ${fishOption(option)}`),
			...help,
			...positionals.flatMap(({ offer }) => (offer === undefined ? [] : [`${inCommand} ${fishPositional(offer)}`])),
		];
	});
	return [
		'# fish completion of s2oci: s2oci completion fish > ~/.config/fish/completions/s2oci.fish',
		'complete -c s2oci -f',
		...lines,
		'complete -c s2i -w s2oci',
		'complete -c sti -w s2oci',
		'',
	].join('\n');
}

function fishOption({ long, short, value, description, offer }: OptionSpec): string {
	const names = short === undefined ? `-l ${long}` : `-l ${long} -s ${short}`;
	const argument = value === undefined ? '' : ` ${fishValue(offer)}`;
	return `${names}${argument} -d ${quoteFish(description)}`;
}

function fishValue(offer: Offer | undefined): string {
	if (offer === undefined) return '-x';
	if (offer === 'file') return '-r -F';
	return offer === 'directory' ? "-x -a '(__fish_complete_directories)'" : `-x -a ${quoteFish(offer.join(' '))}`;
}

function fishPositional(offer: Offer): string {
	if (offer === 'file') return '-F';
	return offer === 'directory' ? "-a '(__fish_complete_directories)'" : `-a ${quoteFish(offer.join(' '))}`;
}

function quoteFish(text: string): string {
	return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** A completion script for zsh, to be sourced or put into a directory of fpath as `_s2oci`. */
function zshScript(commands: readonly CompletedCommand[]): string {
	return `#compdef s2oci s2i sti
# zsh completion of s2oci: s2oci completion zsh > "\${fpath[1]}/_s2oci"
_s2oci() {
	local curcontext="$curcontext" state line
	local -a commands
	commands=(
${commands.map(({ name, description }) => `		${quoteZsh(`${name}:${description}`)}`).join('\n')}
	)
	_arguments -C '1: :->command' '*:: :->argument'
	case $state in
	command) _describe command commands ;;
	argument)
		case $words[1] in
${commands.flatMap(zshCommand).join('\n')}
		esac
		;;
	esac
}
if [ "\${funcstack[1]:-}" = _s2oci ]; then
	_s2oci "$@"
else
	compdef _s2oci s2oci s2i sti
fi
`;
}

function zshCommand({ name, options, positionals }: CompletedCommand): readonly string[] {
	const help = options.length > 0 ? [`'(- *)'{-h,--help}'[show the help]'`] : [];
	const specs = [
		...options.map(zshOption),
		...help,
		...positionals.map((each, index) =>
			quoteZsh(`${index + 1}:${each.required ? '' : ':'}${escapeZsh(each.value)}:${zshAction(each.offer)}`),
		),
	];
	if (specs.length === 0) return [];
	return [`		${name})`, '			_arguments -s -S \\', `				${specs.join(' \\\n				')}`, '			;;'];
}

function zshOption({ long, short, value, description, repeatable, offer }: OptionSpec): string {
	const argument = value === undefined ? '' : `:${escapeZsh(value)}:${zshAction(offer)}`;
	const text = quoteZsh(`[${escapeZsh(description)}]${argument}`);
	const longName = value === undefined ? `--${long}` : `--${long}=`;
	if (short === undefined) return `${repeatable ? "'*'" : ''}${longName}${text}`;
	const before = repeatable ? "'*'" : quoteZsh(`(-${short} --${long})`);
	return `${before}{-${short}${value === undefined ? '' : '+'},${longName}}${text}`;
}

function zshAction(offer: Offer | undefined): string {
	if (offer === undefined) return ' ';
	if (offer === 'file') return '_files';
	return offer === 'directory' ? '_files -/' : `(${offer.join(' ')})`;
}

function escapeZsh(text: string): string {
	return text.replace(/[\\[\]:]/g, '\\$&');
}

function quoteZsh(text: string): string {
	return `'${text.replaceAll("'", "'\\''")}'`;
}
