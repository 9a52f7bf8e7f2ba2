import type { CompletedCommand, Offer, OptionSpec } from './options.js';

/** A completion script for bash 4 or newer. */
export function bashScript(commands: readonly CompletedCommand[]): string {
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
