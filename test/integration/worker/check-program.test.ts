import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { checkProgram } from '../../../src/worker/check-program.js';

const HERE = { x64: 62, arm64: 183 }[process.arch as string] ?? 62;
const OTHER = HERE === 62 ? 183 : 62;

/** An ELF program of 64 bits that asks for `loader` (System V ABI, chapters 4 and 5). */
function elf(machine: number, loader?: string): Buffer {
	const bytes = Buffer.alloc(512);
	bytes.write('\x7fELF\x02\x01\x01', 'latin1');
	bytes.writeUInt16LE(2, 16);
	bytes.writeUInt16LE(machine, 18);
	bytes.writeBigUInt64LE(64n, 32);
	bytes.writeUInt16LE(56, 54);
	bytes.writeUInt16LE(loader === undefined ? 0 : 1, 56);
	if (loader === undefined) return bytes;
	bytes.writeUInt32LE(3, 64);
	bytes.writeBigUInt64LE(256n, 72);
	bytes.writeBigUInt64LE(BigInt(loader.length + 1), 96);
	bytes.write(`${loader}\0`, 256);
	return bytes;
}

const FILES: Readonly<Record<string, string | Buffer>> = {
	'bin/sh': elf(HERE),
	'bin/needs-loader': elf(HERE, '/lib64/ld-missing.so.2'),
	'bin/has-loader': elf(HERE, '/lib/ld.so'),
	'lib/ld.so': elf(HERE),
	'bin/foreign': elf(OTHER),
	'usr/bin/env': elf(HERE),
	'bin/locked': '#!/bin/sh\n',
};

/** What is wrong with `script` at /s in an image with {@link FILES}; undefined when nothing is. */
function check(
	script: string | Buffer,
	{ argv = ['/s'], mode = 0o755, mount }: { argv?: [string, ...string[]]; mode?: number; mount?: string } = {},
): string | undefined {
	const rootfs = mkdtempSync(join(tmpdir(), 's2oci-program-'));
	onTestFinished(() => rmSync(rootfs, { recursive: true }));
	for (const [path, content] of Object.entries({ ...FILES, s: script })) {
		mkdirSync(dirname(join(rootfs, path)), { recursive: true });
		writeFileSync(join(rootfs, path), content, { mode: 0o755 });
	}
	chmodSync(join(rootfs, 's'), mode);
	chmodSync(join(rootfs, 'bin/locked'), 0o644);
	symlinkSync('/bin/sh', join(rootfs, 'bin/ash'));
	symlinkSync('/etc/passwd', join(rootfs, 'bin/out'));
	const binds =
		mount === undefined ? [] : [{ source: '/x', destination: mount, type: 'directory', readOnly: true } as const];
	const user = { uid: 0, gid: 0, additionalGids: [] };
	const found = checkProgram({ argv, env: { PATH: 'relative:/usr/bin:/bin' }, cwd: '/', user }, { rootfs, binds });
	if (found === undefined) return undefined;
	expect(found.error.code).toBe('SCRIPT_INVALID');
	expect(found.error.hint).toMatch(/\w/);
	return `${found.certain ? '' : '(maybe) '}${found.error.message}`;
}

test.each([
	['#!/bin/sh\n'],
	['#! /bin/sh -e\n'],
	['#!/bin/ash\n'],
	['#!/usr/bin/env sh\n'],
	['#!/usr/bin/env -S sh -e\n'],
	['#!/usr/bin/env -S A=1 sh\n'],
	['#!/bin/has-loader'],
	['#!/proc/self/exe\n'],
	[elf(HERE)],
	[elf(HERE, '/lib/ld.so')],
])('%j can be run', (script) => {
	expect(check(script)).toBeUndefined();
});

test.each([
	[
		'#!/bin/bash -e\n',
		'/s cannot be run: it names the interpreter /bin/bash in its #! line, which the image does not have',
	],
	['#!/bin/bash', '/s cannot be run: it names the interpreter /bin/bash in its #! line, which the image does not have'],
	['#!/bin/out\n', 'names the interpreter /bin/out in its #! line, which the image does not have'],
	['#!/bin/locked\n', 'names the interpreter /bin/locked in its #! line, which is not executable in the image'],
	['#!/bin\n', 'names the interpreter /bin in its #! line, which is not executable'],
	['#!\n', 'names the interpreter nothing'],
	['#!/usr/bin/env python3\n', 'is to be run by python3 (#!/usr/bin/env), which is nowhere in the PATH of the image'],
	['#!/usr/bin/env -S node --x\n', 'is to be run by node'],
	['#!/bin/sh\r\nexit\r\n', 'has Windows line ends: its first line, "#!/bin/sh", ends with a carriage return'],
	['#!/usr/bin/env sh\r\n', 'has Windows line ends'],
	['#!/bin/needs-loader\n', '/bin/needs-loader cannot be run: it needs the dynamic loader /lib64/ld-missing.so.2'],
	[
		elf(HERE, '/lib64/ld-missing.so.2'),
		'it needs the dynamic loader /lib64/ld-missing.so.2, which the image does not have',
	],
	[elf(OTHER), `(maybe) /s cannot be run: it is a program for ${OTHER === 183 ? 'arm64' : 'x64'}`],
	['#!/bin/foreign\n', '(maybe) /bin/foreign cannot be run'],
	['', '(maybe) /s cannot be run: it is empty'],
	['echo hello\n', '(maybe) /s cannot be run: it has no #! line and is no program'],
	['\ufeff#!/bin/sh\n', '(maybe) /s cannot be run: it begins with a byte order mark'],
	['#!/bin/b\u001b[31mash\n', 'names the interpreter /bin/b\\u001b[31mash'],
])('%j cannot, and the message says why', (script, message) => {
	expect(check(script)).toContain(message);
});

test('a command that is not there or not executable is named', () => {
	expect(check('', { argv: ['/no/such'] })).toBe('/no/such cannot be run: it is not in the image');
	expect(check('', { argv: ['nosuch'] })).toContain('nosuch cannot be run: it is in none of the directories of PATH');
	expect(check('', { argv: ['sh'] })).toBeUndefined();
	expect(check('', { argv: ['bin/sh'] })).toBeUndefined();
	expect(check('#!/bin/sh\n', { mode: 0o644 })).toBe('/s cannot be run: it is not an executable file');
});

test('what is in a mount is not judged', () => {
	expect(check('#!/opt/tools/bash\n', { mount: '/opt/tools' })).toBeUndefined();
	expect(check('#!/opt/toolsmith/bash\n', { mount: '/opt/tools' })).toContain('/opt/toolsmith/bash');
});
