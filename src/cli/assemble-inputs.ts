import { BuildError } from '../errors.js';
import { absolutePath } from '../host-path.js';
import type { Emit } from '../pipeline/events.js';
import type { Secret } from '../pipeline/request.js';
import { type EnvironmentVariable, parseVariable } from '../s2i/environment.js';
import type { ReadAll } from './options.js';

/**
 * The variables of `-e`. A value with both `,` and `=` is kept whole, with a notice, as S2I does; `sti` of 2014 had a comma between
 * variables. Throws USAGE.
 */
export const readEnvironment: ReadAll<readonly EnvironmentVariable[]> = (texts, _option, { program, emit }) =>
	texts.flatMap((text) => {
		const parts = text.split(',');
		if (program === 'sti' && parts.every((part) => /^[^=]+=[^=]*$/.test(part))) return parts.map(parseVariable);
		const variable = parseVariable(text);
		if (variable.value.includes(',') && variable.value.includes('=')) warnOfComma(variable.name, emit);
		return variable;
	});

/** `variables` with BUILD_LOGLEVEL, when a loglevel was asked for and it is neither among them nor among `environment`. */
export function withLoglevel(
	variables: readonly EnvironmentVariable[],
	loglevel: number | undefined,
	environment: readonly EnvironmentVariable[],
): readonly EnvironmentVariable[] {
	const isSet = [...environment, ...variables].some(({ name }) => name === 'BUILD_LOGLEVEL');
	return loglevel === undefined || isSet
		? variables
		: [...variables, { name: 'BUILD_LOGLEVEL', value: String(loglevel) }];
}

function warnOfComma(name: string, emit: Emit): void {
	const message = `--env ${name}: the value is kept whole; several variables in one --env, separated by commas, are deprecated: give --env for each`;
	emit({ type: 'warning', code: 'DEPRECATED', message });
}

const HINT = 'Write id=NAME,src=FILE or id=NAME,env=VARIABLE; id=NAME alone is the variable NAME.';

/** The `id=NAME[,src=FILE|env=VAR]` of each `--secret`, as `docker build` has it. Throws USAGE, also when two have one id. */
export function readSecrets(texts: readonly string[]): readonly Secret[] {
	const secrets = texts.map(readSecret);
	const twice = secrets.find(({ id }, index) => secrets.findIndex((other) => other.id === id) !== index);
	if (twice === undefined) return secrets;
	throw new BuildError('USAGE', `--secret: the id ${twice.id} is given twice`, {
		hint: 'Give each secret a name of its own.',
	});
}

function readSecret(text: string): Secret {
	const fields = new Map(text.split(',').map((field) => splitField(field)));
	const id = fields.get('id') ?? '';
	const file = fields.get('src') ?? fields.get('source');
	const variable = fields.get('env');
	const known = [...fields.keys()].every((key) => ['id', 'src', 'source', 'env', 'type'].includes(key));
	if (!known || !/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/.test(id) || (file !== undefined && variable !== undefined)) {
		throw unreadable();
	}
	if (file === '' || variable === '') throw unreadable();
	return { id, from: file === undefined ? { variable: variable ?? id } : { file: absolutePath(file) } };
}

function splitField(field: string): readonly [string, string] {
	const at = field.indexOf('=');
	if (at === -1) throw unreadable();
	return [field.slice(0, at).trim(), field.slice(at + 1)];
}

/** Without the text, which may be the secret itself. */
function unreadable(): BuildError {
	return new BuildError('USAGE', '--secret does not say where a secret is', { hint: HINT });
}
