import fc from 'fast-check';

/** Of any kind, and rather often what means something in a URL. */
const printable = fc.oneof(
	fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
	fc.stringMatching(/^[/\\@:#?%[\] 0189]$/),
);

/** A user, of what user names are made of, and a password of any printable characters, which is long enough not to be found by chance. */
export function credentials(): fc.Arbitrary<readonly [user: string, password: string]> {
	const user = fc.stringMatching(/^[A-Za-z0-9._-]{1,8}$/);
	const password = fc.array(printable, { minLength: 6, maxLength: 12 }).map((all) => all.join(''));
	return fc.tuple(
		user,
		password.filter((text) => text.trim().length > 5),
	);
}

const FORMS = [
	'http://USER:PASSWORD@host.example/team/app.git',
	'https://USER:\tPASSWORD@host/app',
	'USER:PASSWORD@host.example:team/app.git',
	'USER:PASSWORD@host/team/app.git',
	'https:/USER:PASSWORD@host.example/app.git',
	'http:\\\\USER:PASSWORD@host.example/app.git',
	'http:USER:PASSWORD@host/app',
	'ssh://USER:PASSWORD@host.example:team/app',
	'ftp://USER:PASSWORD@host.example/app',
	'USER:PASSWORD@registry.example/a/b:1',
	'docker://USER:PASSWORD@registry/a/b',
];

/** How people write a URL with credentials in it, also wrongly. */
export const SPELLINGS: readonly ((user: string, password: string) => string)[] = FORMS.map(
	(form) => (user, password) => form.replace(/USER|PASSWORD/g, (word) => (word === 'USER' ? user : password)),
);
