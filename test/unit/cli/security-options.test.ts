import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readSecurityOptions } from '../../../src/cli/sandbox-options.js';
import { isBuildError } from '../../../src/errors.js';
import type { BuildEvent } from '../../../src/pipeline/events.js';
import { temporaryDirectory } from '../../support/fs.js';

const ENGINES = {
	defaultAction: 'SCMP_ACT_ERRNO',
	defaultErrnoRet: 38,
	defaultErrno: 'ENOSYS',
	archMap: [
		{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
		{ architecture: 'SCMP_ARCH_AARCH64', subArchitectures: ['SCMP_ARCH_ARM'] },
		{ architecture: 'SCMP_ARCH_RISCV64', subArchitectures: null },
	],
	syscalls: [
		{ names: ['read', 'write'], action: 'SCMP_ACT_ALLOW', args: [], comment: '', includes: {}, excludes: {} },
		{
			names: ['clone'],
			action: 'SCMP_ACT_ALLOW',
			args: [{ index: 0, value: 2114060288, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
			includes: { minKernel: '4.8' },
			excludes: { caps: ['CAP_SYS_ADMIN'], arches: ['s390', 's390x'] },
		},
		{ name: 'mount', action: 'SCMP_ACT_ERRNO', errnoRet: 1, args: null },
	],
};

const reading = { env: {}, program: 's2oci' } as const;

function read(options: readonly string[]): { readonly seccomp: unknown; readonly events: readonly BuildEvent[] } {
	const events: BuildEvent[] = [];
	return {
		seccomp: readSecurityOptions(options, '--security-opt', { ...reading, emit: (event) => void events.push(event) }),
		events,
	};
}

function refusal(options: readonly string[]): string {
	try {
		read(options);
	} catch (error) {
		if (isBuildError(error, 'USAGE')) return `${error.message}\n${error.hint ?? ''}`;
		throw error;
	}
	throw new Error('it was accepted');
}

function refusalOf(profile: unknown): string {
	using directory = temporaryDirectory();
	const path = join(directory.path, 'profile.json');
	writeFileSync(path, typeof profile === 'string' ? profile : JSON.stringify(profile));
	return (
		refusal([`seccomp=${path}`])
			.replace(path, 'FILE')
			.split('\n')[0] ?? ''
	);
}

test.each([
	[[], 'default'],
	[['seccomp=unconfined'], 'unconfined'],
	[['seccomp:unconfined'], 'unconfined'],
	[['seccomp=unconfined', 'seccomp=default'], 'default'],
	[['seccomp=builtin'], 'default'],
] as const)('%j is %s', (options, expected) => {
	expect(read(options)).toEqual({ seccomp: expected, events: [] });
});

test('a profile of engines is read, as old ones are', () => {
	using directory = temporaryDirectory();
	const path = join(directory.path, 'profile.json');
	writeFileSync(path, JSON.stringify(ENGINES));
	const native =
		process.arch === 'x64'
			? ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32']
			: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'];
	expect(read([`seccomp=${path}`]).seccomp).toMatchObject({
		defaultAction: 'SCMP_ACT_ERRNO',
		defaultErrnoRet: 38,
		architectures: native,
		syscalls: [
			{ names: ['read', 'write'], action: 'SCMP_ACT_ALLOW' },
			{
				names: ['clone'],
				args: [{ index: 0, value: 2114060288, op: 'SCMP_CMP_MASKED_EQ' }],
				excludes: { caps: ['CAP_SYS_ADMIN'] },
			},
			{ names: ['mount'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 },
		],
	});
});

test.each([
	'no-new-privileges',
	'no-new-privileges:true',
	'no-new-privileges=true',
	'label=disable',
	'apparmor=unconfined',
])('%s is so anyway, which is said', (option) => {
	const { seccomp, events } = read([option]);
	expect(seccomp).toBe('default');
	expect(events).toMatchObject([{ type: 'log', level: 1 }]);
	expect(JSON.stringify(events)).toContain(option);
});

test.each([
	'no-new-privileges=false',
	'apparmor=docker-default',
	'label=type:spc_t',
	'mask=/proc/x',
	'unmask=ALL',
	'seccomp=',
	'x',
	'',
])('%j is refused with what there is', (option) => {
	expect(refusal([option])).toContain('seccomp=unconfined, seccomp=FILE');
});

test.each([
	['{', /JSON/],
	[[], /FILE: .+/],
	[{}, /defaultAction/],
	[{ ...ENGINES, defaultAction: 'SCMP_ACT_DENY' }, /defaultAction/],
	[{ ...ENGINES, architectures: ['SCMP_ARCH_X86_64'] }, /both architectures and archMap/],
	[{ ...ENGINES, syscalls: [{ names: [], action: 'SCMP_ACT_ALLOW' }] }, /syscalls\.0 names no call/],
	[{ ...ENGINES, syscalls: [{ name: 'a', names: ['b'], action: 'SCMP_ACT_ALLOW' }] }, /syscalls\.0 has both/],
	[
		{ ...ENGINES, syscalls: [{ names: ['a'], action: 'SCMP_ACT_NOTIFY' }] },
		/syscalls\.0\.action: SCMP_ACT_NOTIFY needs a program/,
	],
	[
		{
			...ENGINES,
			syscalls: [{ names: ['a'], action: 'SCMP_ACT_ALLOW', args: [{ index: 6, value: 0, op: 'SCMP_CMP_EQ' }] }],
		},
		/args\.0\.index/,
	],
	[
		{
			...ENGINES,
			syscalls: [{ names: ['a'], action: 'SCMP_ACT_ALLOW', args: [{ index: 0, value: 2 ** 60, op: 'SCMP_CMP_EQ' }] }],
		},
		/args\.0\.value/,
	],
	[`${'['.repeat(200)}${']'.repeat(200)}`, /100 others/],
])('%j is one clear error', (profile, words) => {
	expect(refusalOf(profile)).toMatch(words);
	expect(refusalOf(profile)).toMatch(/^--security-opt seccomp=FILE: [^\n]+$/);
});

test('a pipe, a directory and a file that is too large are refused at once', () => {
	using directory = temporaryDirectory();
	const [pipe, large] = ['pipe', 'large'].map((name) => join(directory.path, name)) as [string, string];
	execFileSync('mkfifo', [pipe]);
	writeFileSync(large, ' '.repeat(1024 * 1024 + 1));
	expect(refusal([`seccomp=${pipe}`])).toContain('it is no file');
	expect(refusal([`seccomp=${directory.path}`])).toContain('it is no file');
	expect(refusal([`seccomp=${large}`])).toContain('larger than 1 MiB');
});
