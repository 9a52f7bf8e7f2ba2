import fc from 'fast-check';
import { expect, test } from 'vitest';
import { redact, redactWord } from '../../src/redact.js';
import { credentials, SPELLINGS } from '../support/credentials.js';

test.each([
	['https://user:pw@host/x y', 'https://[redacted]@host/x y'],
	['https://user@host.example/x', 'https://[redacted]@host.example/x'],
	['https://user:AAAA@BBBB@host/x y', 'https://[redacted]@host/x y'],
	['https://user:AA/BB@host', 'https://[redacted]@host'],
	['https://user:AA@BB/CC@host.example/x', 'https://[redacted]@host.example/x'],
	['https://user:12/BB@host', 'https://[redacted]@host'],
	['https://AA/BB@host.example/path', 'https://[redacted]@host.example/path'],
	['https://user:A?B@host/x', 'https://[redacted]@host/x'],
	['https://user:A#B@host/x', 'https://[redacted]@host/x'],
	['https://first.last:AA/BB@host', 'https://[redacted]@host'],
	['https://u:p%40x@[::1]:8443/y?token=1#part', 'https://[redacted]@[::1]:8443/y?[redacted]#part'],
	['https://a.example/x,https://u:p@b.example/y', 'https://a.example/x,https://[redacted]@b.example/y'],
	['git+ssh://git:p/w@h/x and http://u:p@h', 'git+ssh://[redacted]@h/x and http://[redacted]@h'],
	['http://user:PW REST@host/x failed', 'http://[redacted]@host/x failed'],
	['http://user:PW\tRE ST@host/x', 'http://[redacted]@host/x'],
	['proxy http://u:p@ss@proxy:3128: refused', 'proxy http://[redacted]@proxy:3128: refused'],
])('no part of the user info of %s is shown', (text, shown) => {
	expect(redact(text)).toBe(shown);
});

test.each([
	'https://registry.example/@scope/package',
	'https://host.example/app@1.2.tgz',
	'http://localhost/a@b',
	'docker://registry:5000/name@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',
	'https://[2001:db8::1]/a@b',
	'no URL: someone@example.org, a/b@c',
	'https://host:5000: refused, ask admin@example.org',
	'https://[::1]:80/ x@y',
	'git@github.com:org/repo.git',
	'npm i foo@1.2.3 alias@npm:foo@1.2.3',
])('%s is shown as it is', (text) => {
	expect(redact(text)).toBe(text);
});

test('a query is hidden, and the cost is linear', () => {
	expect(redact('https://host.example/x?X-Signature=abc#f')).toBe('https://host.example/x?[redacted]#f');
	const began = performance.now();
	for (const part of ['https://a@', 'a+.-', '://', 'https://a?#', '@sha256:', 'https://', 'x://u:p ']) {
		redact(part.repeat(100_000));
		redactWord(part.repeat(100_000));
	}
	expect(performance.now() - began).toBeLessThan(5000);
});

test('whatever the user, the password and the spelling of a URL, no password is left of a word', () => {
	fc.assert(
		fc.property(fc.constantFrom(...SPELLINGS), credentials(), (spell, [user, password]) => {
			const shown = redactWord(spell(user, password));
			expect(shown).not.toContain(password);
			expect(redact(`failed: ${JSON.stringify(shown)}`)).not.toContain(password);
		}),
		{ numRuns: 3000 },
	);
});

test.each([
	['https:/user:PW@host/x', 'https:/[redacted]@host/x'],
	['http:\\\\user:PW@host/x', 'http:\\\\[redacted]@host/x'],
	['user:PW@host:path', '[redacted]@host:path'],
	['user:P W@host/x?t=1', '[redacted]@host/x?[redacted]'],
	['u:PW@registry/a/b:1', '[redacted]@registry/a/b:1'],
	['https://token@host/x', 'https://[redacted]@host/x'],
])('of the word %s, %s is shown', (text, shown) => {
	expect(redactWord(text)).toBe(shown);
});

test.each([
	'git@github.com:org/repo.git',
	'ada@example.org',
	'foo@1.2.3',
	'/a/b@c',
	'https://registry.example/@scope/package',
	'quay.io/org/app:1.2@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',
	'oci:./image:latest',
])('the word %s is shown as it is', (text) => {
	expect(redactWord(text)).toBe(text);
});
