const NAME = /^[A-Za-z0-9_.-]+$/;

/** Why the author of a line without `=` wanted something else than having it left out; undefined for a blank line. */
export function doubtfulLine(line: string): string | undefined {
	return line.trim() === '' ? undefined : 'it has no =, and is left out';
}

/**
 * Why the author of `variable`, which stands in a file, surely wanted something else than S2I makes of it, without the value; undefined
 * when there is no doubt. S2I neither knows quotes nor expands anything, and takes every name.
 */
export function doubtfulVariable({
	name,
	value,
}: {
	readonly name: string;
	readonly value: string;
}): string | undefined {
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
