import { closeSync, openSync, readSync } from 'node:fs';
import { attempt, BuildError } from '../errors.js';
import { namesIn } from '../file-text.js';
import { redact } from '../redact.js';
import { fsPath, isWithin, joinRaw, latin1Path, nameIn, printablePath, type RawPath, rawPath } from '../root-path.js';
import { resolveInRoot } from '../rootfs/resolve-in-root.js';
import { KERNEL_DIRECTORIES } from '../sandbox/kernel-paths.js';
import type { ContainerProcess, SandboxSpec } from '../sandbox/sandbox.js';
import { type ElfNeeds, readElf } from './elf.js';

/** Why a program cannot be started. */
export interface Unrunnable {
	/** SCRIPT_INVALID, to be thrown. */
	readonly error: BuildError;
	/** Whether no host could start it; else only one that knows how to emulate it, which shows when it is tried. */
	readonly certain: boolean;
}

type Place = Pick<SandboxSpec, 'rootfs' | 'binds'>;
type Start = Place & Pick<SandboxSpec, 'process'>;

const HEAD = 4096;
/** As the kernel's BINPRM_BUF_SIZE: what is beyond is not seen. */
const MAX_LINE = 256;
/** The kernel follows four interpreters (binfmt_script). */
const MAX_INTERPRETERS = 5;
const MACHINES: Readonly<Record<number, string>> = {
	3: 'x86',
	40: 'arm',
	62: 'x64',
	183: 'arm64',
	21: 'ppc64',
	22: 's390x',
	243: 'riscv64',
};
const BOM = /^(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)/;

/**
 * What keeps the program of `process` from being started in the root filesystem: it, the interpreter of its `#!` line, the program that
 * `env` is to find, or its dynamic loader is missing or not executable, or it is made for another kind of processor. Undefined when it can be
 * started as far as can be seen. Sandboxes say at best that something was not found (execve(2), ENOENT).
 */
export function checkProgram(process: ContainerProcess, place: Place): Unrunnable | undefined {
	const start = { ...place, process };
	let path = findIn(process.argv[0], start);
	if (path === undefined) return missing(process.argv[0]);
	for (let depth = 0; depth < MAX_INTERPRETERS; depth++) {
		const found = readProgram(path, place);
		if (found === 'unseen') return undefined;
		if (found === 'missing' || found === 'not executable') return depth === 0 ? refused(path, found) : undefined;
		const next = interpreterOf(path, found, start);
		if (typeof next !== 'string') return next;
		path = next;
	}
	return undefined;
}

/** Whether this kernel was told of interpreters for other kinds of programs (binfmt_misc), which may then end as they like. */
export function canEmulate(): boolean {
	return namesIn('/proc/sys/fs/binfmt_misc').some((name) => name !== 'register' && name !== 'status');
}

type Content = Buffer | 'missing' | 'not executable' | 'unseen';

/** The beginning of a program; `unseen` when it may be in a mount or must not be read. */
function readProgram(path: RawPath, { rootfs, binds }: Place): Content {
	if (isMounted(path, binds)) return 'unseen';
	const resolved = resolveInRoot(rawPath(rootfs), path);
	if (isMounted(joinRaw(latin1Path(''), resolved.path), binds)) return 'unseen';
	if (resolved.stats === undefined) return 'missing';
	if (!resolved.stats.isFile()) return 'not executable';
	if ((resolved.stats.mode & 0o111) === 0) return 'not executable';
	return readHead(joinRaw(rawPath(rootfs), resolved.path)) ?? 'unseen';
}

function isMounted(path: RawPath, binds: Place['binds']): boolean {
	const shown = [
		...binds.map(({ destination }) => rawPath(destination)),
		...KERNEL_DIRECTORIES.map((name) => `/${name}`),
	];
	return shown.some((mount) => isWithin(path, mount));
}

function readHead(path: RawPath): Buffer | undefined {
	const file = attempt(() => openSync(fsPath(path), 'r'));
	if (file === undefined) return undefined;
	const head = Buffer.alloc(HEAD);
	const size = attempt(() => readSync(file, head, 0, HEAD, 0));
	closeSync(file);
	return size === undefined ? undefined : head.subarray(0, size);
}

/** The next program that is needed, or what is wrong; undefined when nothing more is. */
function interpreterOf(path: RawPath, head: Buffer, start: Start): RawPath | Unrunnable | undefined {
	const elf = readElf(head);
	if (elf !== undefined) return checkElf(path, elf, start);
	const text = head.toString('latin1');
	if (!text.startsWith('#!')) return noProgram(path, text);
	const [line = ''] = text.slice(2, MAX_LINE).split('\n');
	return line.endsWith('\r') ? windowsLines(path, line) : checkLine(path, line, start);
}

function windowsLines(path: RawPath, line: string): Unrunnable {
	const quoted = JSON.stringify(printable(latin1Path(`#!${line.trim()}`)));
	const what = `has Windows line ends: its first line, ${quoted}, ends with a carriage return`;
	return problem(path, what, 'Convert it with dos2unix.');
}

/** `line` is the first one, behind `#!`. */
function checkLine(path: RawPath, line: string, start: Start): RawPath | Unrunnable | undefined {
	const [, word = '', rest = ''] = /^[ \t]*([^ \t]*)[ \t]*(.*)$/s.exec(line) ?? [];
	const interpreter = latin1Path(word);
	const found = interpreter === '' ? 'missing' : readProgram(interpreter, start);
	if (found === 'unseen') return undefined;
	if (typeof found === 'string') return noInterpreter(path, interpreter, found);
	return interpreter.endsWith('/env') ? checkEnv(path, rest, start) : interpreter;
}

function noInterpreter(path: RawPath, interpreter: RawPath, why: 'missing' | 'not executable'): Unrunnable {
	const name = printable(interpreter) || 'nothing';
	const what = why === 'missing' ? 'which the image does not have' : 'which is not executable in the image';
	return problem(
		path,
		`names the interpreter ${name} in its #! line, ${what}`,
		`Write a first line with a program of the image, such as #!/bin/sh, or use an image that has ${name}.`,
	);
}

/** `#!/usr/bin/env NAME` looks for NAME in PATH; with -S, options and assignments may precede it (env(1)). */
function checkEnv(path: RawPath, rest: string, start: Start): RawPath | Unrunnable | undefined {
	const words = rest.trim().split(/[ \t]+/);
	const isSplit = words[0]?.startsWith('-S') === true || words[0] === '--split-string';
	const word = isSplit
		? [words[0]?.slice(2) ?? '', ...words.slice(1)].find((word) => word !== '' && !word.includes('='))
		: rest.trim();
	if (word === undefined || word === '' || word.startsWith('-') || word.includes('/')) return undefined;
	const name = latin1Path(word);
	const found = findIn(name, start);
	if (found !== undefined) return found;
	return problem(
		path,
		`is to be run by ${printable(name)} (#!/usr/bin/env), which is nowhere in the PATH of the image`,
		`Use an image that has ${printable(name)}, or write a first line with a program that is there, such as #!/bin/sh.`,
	);
}

function checkElf(path: RawPath, { machine, loader }: ElfNeeds, place: Place): Unrunnable | undefined {
	const made = MACHINES[machine] ?? `machine ${machine}`;
	const here = globalThis.process.arch;
	const runs = made === here || (here === 'x64' && made === 'x86') || (here === 'arm64' && made === 'arm');
	if (!runs) {
		const hint = `Use an image and programs for ${here}, or install qemu-user-static with binfmt support on this host.`;
		return { ...problem(path, `is a program for ${made}, and this host is ${here}`, hint), certain: false };
	}
	if (loader === undefined || readProgram(loader, place) !== 'missing') return undefined;
	return problem(
		path,
		`needs the dynamic loader ${printable(loader)}, which the image does not have`,
		'Link it statically, or build it for the C library of this image: programs for glibc do not run with musl, nor the other way round.',
	);
}

function noProgram(path: RawPath, text: string): Unrunnable {
	const hint = 'Write #!/bin/sh, or another program of the image, at its very beginning.';
	if (BOM.test(text)) {
		const why = 'begins with a byte order mark, so that the kernel does not see a #! line';
		return { ...problem(path, why, 'Save it as UTF-8 without a byte order mark.'), certain: false };
	}
	const what = text === '' ? 'is empty' : 'has no #! line and is no program';
	return { ...problem(path, `${what}, so that the kernel does not know how to run it`, hint), certain: false };
}

/** As execvp(3) would find it, relative parts of PATH left out. */
function findIn(name: string, start: Start): RawPath | undefined {
	const { env, cwd } = start.process;
	const raw = rawPath(name);
	if (name.startsWith('/')) return raw;
	if (name.includes('/')) return rawPath(`${cwd}/${name}`);
	const folders = (env['PATH'] ?? '').split(':').filter((folder) => folder.startsWith('/'));
	const paths = folders.map((folder) => nameIn(rawPath(folder), raw));
	return paths.find((path) => !['missing', 'not executable'].includes(String(readProgram(path, start))));
}

function missing(name: string): Unrunnable {
	const hint = 'Check its spelling, or give its absolute path.';
	return problem(rawPath(name), 'is in none of the directories of PATH in the image', hint);
}

function refused(path: RawPath, why: 'missing' | 'not executable'): Unrunnable {
	if (why === 'missing')
		return problem(path, 'is not in the image', 'Check its spelling; paths are those of the image.');
	return problem(path, 'is not an executable file', 'Give it execute permission (chmod +x) in the image.');
}

function problem(path: RawPath, what: string, hint: string): Unrunnable {
	return {
		error: new BuildError('SCRIPT_INVALID', `${printable(path)} cannot be run: it ${what}`, { hint }),
		certain: true,
	};
}

function printable(path: RawPath): string {
	return redact(printablePath(path)).slice(0, 200);
}
