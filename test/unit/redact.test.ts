import { expect, test } from 'vitest';
import { redact } from '../../src/redact.js';

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
])('%s is shown as it is', (text) => {
	expect(redact(text)).toBe(text);
});

test('a query is hidden, and the cost is linear', () => {
	expect(redact('https://host.example/x?X-Signature=abc#f')).toBe('https://host.example/x?[redacted]#f');
	const began = performance.now();
	for (const part of ['https://a@', 'a+.-', '://', 'https://a?#', '@sha256:', 'https://']) redact(part.repeat(100_000));
	expect(performance.now() - began).toBeLessThan(5000);
});
