import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { EXIT_CODES, exitCodeOf, S2I_EXIT_CODES } from '../../../src/cli/exit-code.js';
import { renderError } from '../../../src/cli/io.js';
import { BuildError, type ErrorCode } from '../../../src/errors.js';

const documented = readFileSync('docs/errors.md', 'utf8');

test.each(Object.entries(EXIT_CODES))('docs/errors.md documents %s with status %i', (code, status) => {
	expect(documented).toMatch(new RegExp(`^\\| \`${code}\` \\| ${status} \\| [^|]+ \\| [^|]+ \\|$`, 'm'));
});

test('docs/errors.md documents nothing that does not exist', () => {
	const codes = [...documented.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code);
	expect(codes).toEqual(Object.keys(EXIT_CODES));
});

test.each([
	['ASSEMBLE_FAILED', 1],
	['USAGE', 2],
	['REGISTRY_DENIED', 3],
	['HOST_NO_SPACE', 4],
	['SOURCE_GIT', 5],
	['INTERRUPTED', 130],
] satisfies [ErrorCode, number][])('%s exits with %i', (code, status) => {
	expect(exitCodeOf(new BuildError(code, 'x'))).toBe(status);
});

const compatibility = readFileSync('docs/s2i-compatibility.md', 'utf8');

test.each(Object.keys(EXIT_CODES) as ErrorCode[])(
	'docs/s2i-compatibility.md has the status of %s under the name s2i',
	(code) => {
		const status = exitCodeOf(new BuildError(code, 'x'), 's2i');
		const row = new RegExp(`^\\| ${status} \\|.*\`${code}\``, 'm');
		if (code in S2I_EXIT_CODES) expect(compatibility).toMatch(row);
		else expect(status).toBe(1);
	},
);

test.each([
	['USAGE', 1],
	['ASSEMBLE_FAILED', 1],
	['REGISTRY_NOT_FOUND', 2],
	['INTERRUPTED', 2],
	['HOST_STORE', 5],
	['OUTPUT_FAILED', 6],
	['SCRIPT_MISSING', 11],
	['IMAGE_USER_NOT_ALLOWED', 15],
	['SOURCE_EMPTY', 16],
] satisfies [ErrorCode, number][])('under the names s2i and sti %s exits with %i, as S2I does', (code, status) => {
	for (const program of ['s2i', 'sti'] as const) expect(exitCodeOf(new BuildError(code, 'x'), program)).toBe(status);
	expect(exitCodeOf(new TypeError('oops'), 's2i')).toBe(70);
});

test('an error is a line with its message and a line with its hint, redacted', () => {
	const error = new BuildError('SOURCE_GIT', 'clone of https://ada:s3cret@host/x?sig=1 failed\u001b[2J', {
		hint: 'Try again.',
	});
	expect(renderError(error, false)).toBe(
		'error: clone of https://[redacted]@host/x?[redacted] failed[2J\nhint: Try again.\n',
	);
	expect(renderError(new BuildError('USAGE', 'no'), true)).toBe('\u001b[31merror:\u001b[39m no\n');
});

test('anything but a BuildError is a bug: status 70 and its stack', () => {
	const error = new TypeError('oops');
	expect(exitCodeOf(error)).toBe(70);
	const text = renderError(error, false);
	expect(text).toContain('errors.test.ts');
	expect(text).toMatch(/^error: TypeError: oops\n/);
	expect(text).toContain('this is a bug in s2oci, please report it');
	expect(renderError('text', false)).toMatch(/^error: text\n/);
});
