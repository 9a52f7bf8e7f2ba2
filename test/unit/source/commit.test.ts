import { expect, test } from 'vitest';
import { readCommitText } from '../../../src/source/commit.js';
import { resolveSubmoduleUrl } from '../../../src/source/submodules.js';

const ADA = 'Ada <ada@example.org> 1714972089 +0200';

function raw(message: string | Buffer, headers: readonly string[] = [`author ${ADA}`, `committer ${ADA}`]): Buffer {
	const head = Buffer.from(['tree 0000', ...headers, '', ''].join('\n'), 'latin1');
	return Buffer.concat([head, Buffer.from(message)]);
}

/** Expected texts are what `git show -s --format=%an <%ae>%n%ad%n%<(80,trunc)%s` of git 2.39 prints, which S2I trims. */
test.each([
	['First\n\nBody\n', 'First'],
	['\n\n  \nLate\nsecond line \nthird\n \nBody', 'Late second line third'],
	['', undefined],
	['\n\n', undefined],
	['x'.repeat(80), 'x'.repeat(80)],
	['x'.repeat(81), `${'x'.repeat(78)}..`],
	['ä'.repeat(81), `${'ä'.repeat(78)}..`],
	['漢'.repeat(40), '漢'.repeat(40)],
	['漢'.repeat(41), `${'漢'.repeat(39)}..`],
	['Fix https://ada:s3cret@example.org/x', 'Fix https://[redacted]@example.org/x'],
	['a\u001b[31mb', 'a[31mb'],
])('the subject of %j', (message, expected) => {
	expect(readCommitText(raw(message))?.message).toBe(expected);
});

test.each([
	['1714972089 +0200', 'Mon May 6 07:08:09 2024 +0200'],
	['1714972089 -0000', 'Mon May 6 05:08:09 2024 +0000'],
	['1714972089 -0330', 'Mon May 6 01:38:09 2024 -0330'],
	['0 +0000', 'Thu Jan 1 00:00:00 1970 +0000'],
	['4102444799 +1400', 'Fri Jan 1 13:59:59 2100 +1400'],
	['99999999999999999999 +0000', 'Thu Jan 1 00:00:00 1970 +0000'],
])('the date of %s', (time, expected) => {
	const headers = [`author Ada <ada@example.org> ${time}`, `committer ${ADA}`];
	expect(readCommitText(raw('x', headers))?.date).toBe(expected);
});

test('the author, in the encoding of the commit, and none without a name', () => {
	const author = (name: string, ...more: readonly string[]) =>
		readCommitText(raw('x', [`author ${name}1714972089 +0200`, `committer ${ADA}`, ...more]))?.author;
	expect(author('J\xfcrgen <j@example.org> ', 'encoding ISO-8859-1')).toBe('Jürgen <j@example.org>');
	expect(author(Buffer.from('Jürgen <j@example.org> ').toString('latin1'))).toBe('Jürgen <j@example.org>');
	expect(author('J\xfcrgen <j@example.org> ', 'encoding no-such-thing')).toBe('J\ufffdrgen <j@example.org>');
	expect(author('<j@example.org> ')).toBeUndefined();
	const latin1 = readCommitText(
		raw(Buffer.from('Stra\xdfe', 'latin1'), [`author ${ADA}`, `committer ${ADA}`, 'encoding latin1']),
	);
	expect(latin1?.message).toBe('Straße');
});

test('a signature is no message, and the epoch is the time of the committer', () => {
	const headers = [
		`author ${ADA}`,
		'committer Bob <b@example.org> 1714972090 +0000',
		'gpgsig -----BEGIN',
		' author x',
		' ',
	];
	expect(readCommitText(raw('Signed\n', headers))).toMatchObject({ message: 'Signed', epoch: 1714972090 });
	expect(readCommitText(Buffer.from('tree 0\n\nx'))).toBeUndefined();
});

/** As t/t0060-path-utils.sh of git has them. */
test.each([
	['https://h/team/app.git', '../lib.git', 'https://h/team/lib.git'],
	['https://h/team/app.git/', '../lib.git', 'https://h/team/lib.git'],
	['https://h/team/app', './lib', 'https://h/team/app/lib'],
	['https://h/a/b/c', '../../x/y/', 'https://h/a/x/y'],
	['git@h:team/app.git', '../lib.git', 'git@h:team/lib.git'],
	['git@h:app.git', '../lib.git', 'git@h:lib.git'],
	['git@h:team/app.git', '../../other/lib.git', 'git@h:other/lib.git'],
	['/srv/team/app', '../lib', '/srv/team/lib'],
	['x', '../../../y', undefined],
	['https://h/app', 'https://i/lib', 'https://i/lib'],
	['https://h/app', '/srv/lib', '/srv/lib'],
])('of %s the submodule URL %s', (base, url, expected) => {
	expect(resolveSubmoduleUrl(base, url)).toBe(expected);
});
