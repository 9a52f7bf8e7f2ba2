import { BuildError, messageOf } from '../errors.js';
import type { Ignore } from './ignore.js';

const MAX_LENGTH = 1000;

/**
 * What `--exclude` leaves out: paths relative to the source, without leading slash, in which the Go regular expression `pattern`
 * matches anywhere; of an excluded directory nothing is asked about what is below it. Undefined is S2I's default `(^|/)\.git(/|$)`,
 * `''` leaves out nothing. Asking takes time that grows linearly with the path: a source that brings the file names cannot stop a
 * build (regular expression denial of service). Throws USAGE for what is not a regular expression and for over 1000 characters.
 */
export async function parseExclude(pattern: string | undefined): Promise<Ignore> {
	if (pattern === undefined) return (path) => path.split('/').includes('.git');
	if (pattern === '') return () => false;
	try {
		if (pattern.length > MAX_LENGTH) throw new SyntaxError(`it has more than ${MAX_LENGTH} characters`);
		const { RE2JS } = await import('re2js');
		const compiled = RE2JS.compile(pattern);
		return (path) => compiled.test(path);
	} catch (cause) {
		const shown = JSON.stringify(pattern.slice(0, 100));
		throw new BuildError('USAGE', `--exclude ${shown} is not a regular expression: ${messageOf(cause)}`, {
			hint: 'Use the syntax of Go (RE2) on paths relative to the source, such as (^|/)node_modules(/|$).',
			cause,
		});
	}
}
