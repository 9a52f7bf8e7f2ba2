import { BuildError, messageOf } from '../errors.js';
import type { Ignore } from './ignore.js';
import { compilePattern } from './regexp.js';

/**
 * What `--exclude` leaves out: paths relative to the source, without leading slash, in which the Go regular expression `pattern`
 * matches anywhere; of an excluded directory nothing is asked about what is below it. Undefined is S2I's default `(^|/)\.git(/|$)`,
 * `''` leaves out nothing. Throws USAGE for what is not a regular expression.
 */
export function parseExclude(pattern: string | undefined): Ignore {
	if (pattern === undefined) return (path) => path.split('/').includes('.git');
	if (pattern === '') return () => false;
	try {
		return compilePattern(pattern);
	} catch (cause) {
		const shown = JSON.stringify(pattern.slice(0, 100));
		throw new BuildError('USAGE', `--exclude ${shown} is not a regular expression: ${messageOf(cause)}`, {
			hint: 'Use the syntax of Go (RE2) on paths relative to the source, such as (^|/)node_modules(/|$).',
			cause,
		});
	}
}
