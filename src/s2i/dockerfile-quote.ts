import { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import type { EnvironmentVariable } from './environment.js';

/** What the parsers of Dockerfiles take on one line, in bytes; Go's line scanner ends at 64 KiB. */
const MAX_LINE = 60 * 1024;

/**
 * One `LABEL` or `ENV` instruction that sets `variables`, a line for each, so that nothing in a name or value is expanded or ends it.
 * Empty for none. Throws USAGE for line breaks, which a Dockerfile cannot hold, and for values over 60 KiB.
 */
export function quoteAssignments(
	instruction: 'LABEL' | 'ENV',
	variables: readonly EnvironmentVariable[],
): readonly string[] {
	if (variables.length === 0) return [];
	const words = variables.map(({ name, value }) => {
		const what = `${instruction === 'ENV' ? 'the variable' : 'the label'} ${JSON.stringify(redact(name).slice(0, 100))}`;
		return `${quoteValue(name, what)}=${quoteValue(value, what)}`;
	});
	return [`${instruction} ${words.join(' \\\n    ')}`];
}

/** A path for an instruction that expands variables and quotes in it, such as COPY in JSON form. */
export function quotePath(path: string): string {
	return path.replace(/[\\$'"]/g, '\\$&');
}

/** A word for a place that knows no quotes at all: FROM, and the fields of `--mount`. Throws USAGE when it would need some. */
export function quotePlain(word: string, what: string): string {
	if (word !== '' && !/[\s,=$"'\\`#\0-\x1f\x7f]/.test(word)) return word;
	throw impossible(`${what}, ${JSON.stringify(redact(word).slice(0, 200))},`, 'Take blanks and punctuation out of it.');
}

/** A user for USER and `--chown`. Throws IMAGE_INVALID for anything but ids and names: an image may say anything. */
export function quoteUser(user: string): string {
	if (/^[A-Za-z0-9_][\w.-]*\$?(?::[A-Za-z0-9_][\w.-]*\$?)?$/.test(user)) return user.replaceAll('$', '\\$');
	throw new BuildError(
		'IMAGE_INVALID',
		`the USER ${JSON.stringify(redact(user).slice(0, 100))} is neither a number nor a name`,
		{
			hint: 'Check USER and the label io.openshift.s2i.assemble-user of the builder image.',
		},
	);
}

function quoteValue(text: string, what: string): string {
	if (/[\0\r\n]/.test(text)) throw impossible(what, 'It holds a line break: put it into a file of the source.');
	if (Buffer.byteLength(text) > MAX_LINE)
		throw impossible(what, 'It is longer than 60 KiB: put it into a file of the source.');
	return `"${text.replace(/[\\$"]/g, '\\$&')}"`;
}

function impossible(what: string, hint: string): BuildError {
	return new BuildError('USAGE', `${what} cannot be written to a Dockerfile`, { hint });
}
