import type { CompletedCommand, Offer, OptionSpec } from './options.js';

/** A completion script for fish 3 or newer. */
export function fishScript(commands: readonly CompletedCommand[]): string {
	const lines = commands.flatMap(({ name, description, options, positionals }) => {
		const inCommand = `complete -c s2oci -n '__fish_seen_subcommand_from ${name}'`;
		const help = options.length > 0 ? [`${inCommand} -l help -s h -d 'show the help'`] : [];
		return [
			`complete -c s2oci -n __fish_use_subcommand -a ${name} -d ${quote(description)}`,
			...options.map((option) => `${inCommand} ${describeOption(option)}`),
			...help,
			...positionals.flatMap(({ offer }) => (offer === undefined ? [] : [`${inCommand} ${positional(offer)}`])),
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

function describeOption({ long, short, value, description, offer }: OptionSpec): string {
	const names = short === undefined ? `-l ${long}` : `-l ${long} -s ${short}`;
	const argument = value === undefined ? '' : ` ${valueOf(offer)}`;
	return `${names}${argument} -d ${quote(description)}`;
}

function valueOf(offer: Offer | undefined): string {
	if (offer === undefined) return '-x';
	if (offer === 'file') return '-r -F';
	return offer === 'directory' ? "-x -a '(__fish_complete_directories)'" : `-x -a ${quote(offer.join(' '))}`;
}

function positional(offer: Offer): string {
	if (offer === 'file') return '-F';
	return offer === 'directory' ? "-a '(__fish_complete_directories)'" : `-a ${quote(offer.join(' '))}`;
}

function quote(text: string): string {
	return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
