import type { CompletedCommand, Offer, OptionSpec } from './options.js';

/** A completion script for zsh, to be sourced or put into a directory of fpath as `_s2oci`. */
export function zshScript(commands: readonly CompletedCommand[]): string {
	return `#compdef s2oci s2i sti
# zsh completion of s2oci: s2oci completion zsh > "\${fpath[1]}/_s2oci"
_s2oci() {
	local curcontext="$curcontext" state line
	local -a commands
	commands=(
${commands.map(({ name, description }) => `		${quote(`${name}:${description}`)}`).join('\n')}
	)
	_arguments -C '1: :->command' '*:: :->argument'
	case $state in
	command) _describe command commands ;;
	argument)
		case $words[1] in
${commands.flatMap(describeCommand).join('\n')}
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

function describeCommand({ name, options, positionals }: CompletedCommand): readonly string[] {
	const help = options.length > 0 ? [`'(- *)'{-h,--help}'[show the help]'`] : [];
	const specs = [
		...options.map(describeOption),
		...help,
		...positionals.map((each, index) =>
			quote(`${index + 1}:${each.required ? '' : ':'}${escape(each.value)}:${action(each.offer)}`),
		),
	];
	if (specs.length === 0) return [];
	return [`		${name})`, '			_arguments -s -S \\', `				${specs.join(' \\\n				')}`, '			;;'];
}

function describeOption({ long, short, value, description, repeatable, offer }: OptionSpec): string {
	const argument = value === undefined ? '' : `:${escape(value)}:${action(offer)}`;
	const text = quote(`[${escape(description)}]${argument}`);
	const longName = value === undefined ? `--${long}` : `--${long}=`;
	if (short === undefined) return `${repeatable ? "'*'" : ''}${longName}${text}`;
	const before = repeatable ? "'*'" : quote(`(-${short} --${long})`);
	return `${before}{-${short}${value === undefined ? '' : '+'},${longName}}${text}`;
}

function action(offer: Offer | undefined): string {
	if (offer === undefined) return ' ';
	if (offer === 'file') return '_files';
	return offer === 'directory' ? '_files -/' : `(${offer.join(' ')})`;
}

function escape(text: string): string {
	return text.replace(/[\\[\]:]/g, '\\$&');
}

function quote(text: string): string {
	return `'${text.replaceAll("'", "'\\''")}'`;
}
