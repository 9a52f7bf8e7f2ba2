import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BuildError } from '../../../../src/errors.js';
import { findMount, parseMounts } from '../../../../src/mountinfo.js';
import { describeFinding, FINDING_CODES } from '../../../../src/pipeline/doctor/advice.js';
import { causeOfSandbox, causeOfStart, type Evidence } from '../../../../src/pipeline/doctor/causes.js';
import { parseTarget } from '../../../../src/pipeline/doctor/check-registry.js';
import {
	detectEnvironments,
	ENVIRONMENTS,
	type HostFacts,
	isNetworkType,
	optionsOf,
	readFacts,
} from '../../../../src/pipeline/doctor/facts.js';
import { TINY_STATUS, tinyProgram } from '../../../../src/sandbox/tiny-program.js';
import { temporaryDirectory } from '../../../support/fs.js';
import { needs } from '../../../support/needs.js';

const harmless: HostFacts = {
	uid: 1000,
	maxUserNamespaces: 28_633,
	apparmorRestricts: false,
	cloneForbidden: false,
	apparmorProfile: undefined,
	seccomp: false,
	noNewPrivileges: false,
	capabilities: { sysAdmin: false, sysChroot: false },
	changedRoot: false,
	maskedProc: false,
	mappers: { setuid: true, nosuid: false },
	distributions: [],
	inContainer: false,
	serviceAccount: false,
};

function evidence(facts: Partial<HostFacts>, rest: Partial<Evidence> = {}): Evidence {
	return {
		facts: { ...harmless, ...facts },
		store: { fileSystem: 'ext4', mountOptions: [] },
		plan: { kind: 'single', mounts: true },
		copied: false,
		...rest,
	};
}

const EPERM = 'unshare: unshare failed: Operation not permitted';
const UIDMAP = 'newuidmap failed: newuidmap: write to uid_map failed: Operation not permitted';
const asRoot: Partial<Evidence> = { plan: { kind: 'none', mounts: true } };
const on = (fileSystem: string): Partial<Evidence> => ({ store: { fileSystem, mountOptions: [] } });
const noexec = { store: { fileSystem: 'tmpfs', mountOptions: ['rw', 'noexec'] }, copied: true };

describe('a worker that does not start', () => {
	test.each([
		['unshare: unshare failed: No space left on device', {}, {}, 'MAX_USER_NAMESPACES'],
		[EPERM, { maxUserNamespaces: 0 }, {}, 'MAX_USER_NAMESPACES'],
		[EPERM, { cloneForbidden: true }, {}, 'USERNS_CLONE'],
		[EPERM, { apparmorRestricts: true }, {}, 'APPARMOR_USERNS'],
		['unshare: cannot change root filesystem propagation: Permission denied', {}, {}, 'APPARMOR_MOUNT'],
		[EPERM, { changedRoot: true }, {}, 'CHANGED_ROOT'],
		[EPERM, { seccomp: true }, {}, 'SECCOMP'],
		[EPERM, {}, {}, 'NAMESPACES'],
		[EPERM, { uid: 0 }, asRoot, 'NO_SYS_ADMIN'],
		[EPERM, { uid: 0, seccomp: true, capabilities: { sysAdmin: true, sysChroot: true } }, asRoot, 'SECCOMP'],
		[
			'unshare: cannot change root filesystem propagation: Permission denied',
			{ uid: 0, capabilities: { sysAdmin: true, sysChroot: true } },
			asRoot,
			'APPARMOR_MOUNT',
		],
		['newuidmap is not installed (package uidmap or shadow-utils)', {}, {}, 'NO_NEWUIDMAP'],
		['unshare (package util-linux): spawn unshare ENOENT', {}, {}, 'NO_UNSHARE'],
		[UIDMAP, { noNewPrivileges: true }, {}, 'NO_NEW_PRIVS'],
		[UIDMAP, { mappers: { setuid: true, nosuid: true } }, {}, 'MAPPER_NOSUID'],
		[UIDMAP, { mappers: { setuid: false, nosuid: false } }, {}, 'MAPPER_UNPRIVILEGED'],
		[UIDMAP, { mappers: { setuid: true, nosuid: false }, inContainer: true }, {}, 'MAPPER_SET_UID'],
		[UIDMAP, {}, {}, 'SUBUID_REFUSED'],
		['EPERM: mount', {}, noexec, 'NOEXEC'],
	] as const)('with %j and %j is explained', (message, facts, rest, code) => {
		expect(causeOfStart(new Error(message), evidence(facts, rest))).toBe(code);
	});

	test.each([
		['HOST_NO_NAMESPACES', 'a new /proc could not be mounted: EPERM: mount', { maskedProc: true }, {}, 'MASKED_PROC'],
		['HOST_NO_NAMESPACES', 'a new /proc could not be mounted', { noNewPrivileges: true }, {}, 'NO_NEW_PRIVS'],
		['HOST_NO_OVERLAY', 'the kernel refused an overlay', {}, on('overlay'), 'OVERLAY_ON_OVERLAY'],
		['HOST_NO_OVERLAY', 'the kernel refused an overlay', {}, on('nfs4'), 'NETWORK_FILE_SYSTEM'],
		['HOST_NO_OVERLAY', 'the kernel refused an overlay', {}, on('ext4'), 'NO_OVERLAY'],
		['HOST_NO_OVERLAY', 'koffi has no binary for this platform', {}, on('overlay'), 'NO_KOFFI'],
		['HOST_STORE', 'the store cannot be written', {}, {}, 'STORE_UNWRITABLE'],
		['HOST_NO_SPACE', 'no space is left in the store', {}, {}, 'NO_SPACE'],
	] as const)('with %s %j and %j is explained', (code, message, facts, rest, finding) => {
		expect(causeOfStart(new BuildError(code, message), evidence(facts, rest))).toBe(finding);
	});
});

test('sandboxes that refuse are told from those that are not there', () => {
	const missing = { name: 'runc', works: false, reason: 'is not installed' } as const;
	const refusing = { name: 'bwrap', works: false, reason: 'bwrap could not set up the sandbox (status 1)' } as const;
	expect(causeOfSandbox([missing, { ...missing, name: 'crun' }], evidence({}))).toBe('NO_SANDBOX');
	expect(causeOfSandbox([missing, refusing], evidence({}))).toBe('SANDBOX_REFUSED');
	expect(causeOfSandbox([refusing], evidence({}, noexec))).toBe('NOEXEC');
	const plan = { kind: 'none', mounts: false } as const;
	expect(causeOfSandbox([refusing], evidence({ uid: 0 }, { plan }))).toBe('NO_SYS_CHROOT');
});

describe('findings', () => {
	const page = readFileSync('docs/doctor.md', 'utf8');

	test.each(FINDING_CODES)('%s is in docs/doctor.md', (code) => {
		expect(page).toMatch(new RegExp(`^\\| \`${code}\` \\|`, 'm'));
	});

	test.each(FINDING_CODES)('the fixes of %s are single lines, the fitting ones first', (code) => {
		fc.assert(
			fc.property(fc.shuffledSubarray([...ENVIRONMENTS]), (places) => {
				const { message, fixes } = describeFinding(code, places);
				for (const text of [message, ...fixes.map(({ fix }) => fix)]) expect(text).toMatch(/^\S.*\S$/);
				const fitting = fixes.filter(({ place }) => places.includes(place));
				expect(fixes.slice(0, fitting.length)).toEqual(fitting);
				expect(new Set(fixes.map(({ place }) => place)).size).toBe(fixes.length);
			}),
		);
	});
});

test.each([
	[{ GITHUB_ACTIONS: 'true' }, { distributions: ['ubuntu', 'debian'] }, ['github', 'debian']],
	[{ GITLAB_CI: 'true', KUBERNETES_SERVICE_HOST: '10.0.0.1' }, {}, ['gitlab', 'kubernetes']],
	[{}, { serviceAccount: true, distributions: ['rhel', 'fedora'] }, ['openshift', 'kubernetes', 'rhel']],
	[{}, { inContainer: true }, ['container']],
	[{ GITHUB_ACTIONS: '' }, {}, []],
])('with %j and %j we are in %j', (env, facts, places) => {
	expect(detectEnvironments(env, { ...harmless, ...facts })).toEqual(places);
});

describe('the program that needs nothing of the host', () => {
	test('runs, and ends with its own status', (context) => {
		const bytes = tinyProgram(process.arch);
		needs(context, bytes !== undefined, `there is none for ${process.arch}`);
		using directory = temporaryDirectory();
		const path = join(directory.path, 'end');
		writeFileSync(path, bytes, { mode: 0o755 });
		expect(spawnSync(path).status).toBe(TINY_STATUS);
	});

	test.each([
		['x64', 62],
		['arm64', 183],
	])('is a little-endian static executable for %s', (architecture, machine) => {
		const bytes = Buffer.from(tinyProgram(architecture) ?? []);
		expect(bytes.subarray(0, 7)).toEqual(Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]));
		expect([bytes.readUInt16LE(16), bytes.readUInt16LE(18)]).toEqual([2, machine]);
		expect(Number(bytes.readBigUInt64LE(24)) - Number(bytes.readBigUInt64LE(80))).toBe(120);
	});

	test('is not there for what s2oci does not run on', () => {
		expect(tinyProgram('s390x')).toBeUndefined();
	});
});

describe('mounts', () => {
	const text = [
		'22 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
		String.raw`30 22 0:40 / /mnt/a\040b rw,noexec,nosuid shared:1 - nfs4 server:/x rw,hard`,
		'31 30 0:41 / /mnt ro - tmpfs tmpfs ro,size=1m',
		'broken line',
	].join('\n');

	test.each([
		['/mnt/a b/store', 'nfs4', true],
		['/mnt/other', 'tmpfs', false],
		['/mntx', 'ext4', false],
		['/', 'ext4', false],
	])('%j is on %s', (path, type, isNetwork) => {
		const mount = findMount(parseMounts(text), path);
		expect(mount?.type).toBe(type);
		expect(isNetworkType(type)).toBe(isNetwork);
	});

	test('have the options of the mount point and of the file system', () => {
		const mount = findMount(parseMounts(text), '/mnt/a b');
		expect(mount === undefined ? [] : optionsOf(mount)).toEqual(['rw', 'noexec', 'nosuid', 'hard']);
	});

	test('are read whatever the text', () => {
		fc.assert(
			fc.property(fc.string(), (any) => {
				expect(parseMounts(any)).toBeInstanceOf(Array);
			}),
		);
	});
});

test('the facts of this process are those of the kernel', () => {
	const facts = readFacts({});
	expect(facts.uid).toBe(Number(execFileSync('id', ['-u'], { encoding: 'utf8' })));
	const capabilities = /^CapEff:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
	expect(facts.capabilities.sysAdmin).toBe(((BigInt(`0x${capabilities}`) >> 21n) & 1n) === 1n);
});

describe('what is named on the command line', () => {
	test.each([
		['registry.example', 'registry.example'],
		['localhost:5000', 'localhost:5000'],
		['https://registry.example:5000/', 'registry.example:5000'],
		['myregistry:5000', 'myregistry:5000'],
	])('%s is a registry', (text, registry) => {
		expect(parseTarget(text)).toMatchObject({ type: 'registry', registry });
	});

	test.each([
		['registry.example/team/app', 'registry.example', 'team/app'],
		['docker://quay.io/sclorg/nodejs-22-c9s:latest', 'quay.io', 'sclorg/nodejs-22-c9s'],
		['redis', 'docker.io', 'library/redis'],
		['redis:7-alpine', 'docker.io', 'library/redis'],
	])('%s is an image', (text, registry, path) => {
		expect(parseTarget(text)).toMatchObject({ type: 'image', reference: { repository: { registry, path } } });
	});

	test.each([
		['oci:/tmp/layout', 'in a file or directory'],
		['oci-archive:image.tar', 'in a file or directory'],
		['docker-archive:image.tar', 'in a file or directory'],
		['podman:app', 'in a local engine'],
		['docker-daemon:app', 'in a local engine'],
	])('%s is neither, and the message says that it is %s', (text, where) => {
		const message = expect.stringContaining(
			`"${text}" is neither a registry nor an image on one, but an image ${where}`,
		) as string;
		const hint = expect.stringContaining('s2oci usage') as string;
		expect(() => parseTarget(text)).toThrow(expect.objectContaining({ code: 'USAGE', message, hint }) as Error);
	});
});
