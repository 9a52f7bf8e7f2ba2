import { BuildError } from '../errors.js';
import { absolutePath } from '../host-path.js';
import type { Secret } from '../pipeline/request.js';

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
