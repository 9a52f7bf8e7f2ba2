/** What a parameter is given: a string, a list, or an object. */
export type ParamValue = string | readonly string[] | Readonly<Record<string, string>>;

/** What is put in the place of `$(NAME)`, by NAME. */
export type Variables = ReadonlyMap<string, string | readonly string[]>;

const REFERENCE = /\$\(((?:params|results|step|steps|workspaces|context)[.[][^()]*)\)/g;

/** The variables by which the value of the parameter `name` is referred to. */
export function paramVariables(
	name: string,
	value: ParamValue,
): readonly (readonly [string, string | readonly string[]])[] {
	if (typeof value === 'string') return [[`params.${name}`, value]];
	if (!Array.isArray(value)) return Object.entries(value).map(([key, text]) => [`params.${name}.${key}`, text]);
	const items = value as readonly string[];
	return [[`params.${name}[*]`, items], ...items.map((text, index) => [`params.${name}[${index}]`, text] as const)];
}

/** `text` with each reference replaced once: what is put in is not looked at again. Throws for what there is not. */
export function substitute(text: string, variables: Variables): string {
	return text.replace(REFERENCE, (whole, name: string) => {
		const value = variables.get(name);
		if (typeof value !== 'string') throw new Error(`${whole} is no string here`);
		return value;
	});
}

/** Words in which a list stands for as many words as it has. */
export function substituteWords(words: readonly string[], variables: Variables): readonly string[] {
	return words.flatMap((word) => {
		const list = variables.get(/^\$\((.*\[\*\])\)$/.exec(word)?.[1] ?? '');
		return Array.isArray(list) ? (list as readonly string[]) : [substitute(word, variables)];
	});
}
