import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type BwrapCall, bwrapCall, prlimitOptions } from '../../../src/sandbox/bwrap.js';
import { type Limits, NO_LIMITS, UNLIMITED } from '../../../src/sandbox/limits.js';
import { runtimeConfig, runtimeConfigText } from '../../../src/sandbox/runtime-config.js';
import type { BindMount, SandboxSpec } from '../../../src/sandbox/sandbox.js';

const MACHINE = { arch: 'x64', kernel: '6.1.0' };
const [STATUS_FD, SECCOMP_FD] = [3, 5];
const KERNEL_FILES: readonly string[] = ['/proc/keys', '/proc/kcore', '/proc/sysrq-trigger'];
const ROOT_USER = { uid: 0, gid: 0, additionalGids: [] };
const ASSEMBLE_USER = { uid: 1001, gid: 0, additionalGids: [27, 100] };
const NAMESPACES = ['none', 'full', 'single'] as const;
const USERS = [
	['root', ROOT_USER],
	['1001', ASSEMBLE_USER],
] as const;

const LIMITS: Limits = {
	network: 'none',
	addHosts: [{ name: 'registry.example', address: '10.0.0.7' }],
	capDrop: ['CAP_NET_RAW', 'CAP_SETFCAP'],
	memory: 2 ** 30,
	cpus: 1.5,
	pids: 100,
	ulimits: [
		{ name: 'nofile', soft: 1024, hard: 4096 },
		{ name: 'core', soft: 0, hard: UNLIMITED },
	],
	seccomp: 'default',
};

function specOf(
	userNamespace: SandboxSpec['userNamespace'],
	user: SandboxSpec['process']['user'],
	limits: Limits = NO_LIMITS,
): SandboxSpec {
	return {
		rootfs: '/mnt/rootfs',
		process: {
			argv: ['/usr/libexec/s2i/assemble', 'an argument'],
			env: { PATH: '/usr/bin:/bin', HOME: '/opt/app-root/src', TOKEN: 'a canary\nof two lines' },
			cwd: '/opt/app-root/src',
			user,
		},
		binds: [
			{ source: '/mnt/shown/0', destination: '/etc/resolv.conf', type: 'file', readOnly: true },
			{ source: '/mnt/shown/1', destination: '/opt/app-root/etc', type: 'directory', readOnly: true },
			{ source: '/mnt/shown/2', destination: '/var/cache/npm', type: 'directory', readOnly: false },
			{ source: '/mnt/shown/3', destination: '/var/cache/log', type: 'file', readOnly: false },
		],
		limits,
		userNamespace,
		mounts: true,
		proc: 'own',
	};
}

/** The call on a kernel that has some of the paths that are hidden. */
function callOf(spec: SandboxSpec): BwrapCall {
	const directories = ['/proc/sys', '/proc/irq', '/sys/firmware'];
	return bwrapCall(spec, { status: STATUS_FD, seccomp: SECCOMP_FD }, false, (path) => {
		if (KERNEL_FILES.includes(path)) return 'file';
		return directories.includes(path) ? 'directory' : undefined;
	});
}

/** The filter, which is long and the same for many, and the rest. */
function configOf(spec: SandboxSpec): { readonly seccomp: unknown; readonly config: object } {
	const { linux, ...config } = runtimeConfig(spec, false, MACHINE) as { readonly linux: { readonly seccomp: unknown } };
	const { seccomp, ...others } = linux;
	return { seccomp, config: { ...config, linux: others } };
}

/** Compares with the file in testdata/golden, which is written anew when UPDATE_GOLDEN is 1. */
function expectGolden(name: string, value: unknown): void {
	const path = fileURLToPath(new URL(`../../../testdata/golden/sandbox/${name}.json`, import.meta.url));
	const text = `${JSON.stringify(value, undefined, '\t')}\n`;
	if (process.env['UPDATE_GOLDEN'] === '1') {
		mkdirSync(dirname(path), { recursive: true });
		writeFileSync(path, text);
	}
	expect(existsSync(path), `${path} is missing; run with UPDATE_GOLDEN=1`).toBe(true);
	expect(text).toBe(readFileSync(path, 'utf8'));
}

describe.each(NAMESPACES)('in user namespace %s', (userNamespace) => {
	test.each(USERS)('the OCI runtime configuration for user %s is the golden one', (name, user) => {
		const { seccomp, config } = configOf(specOf(userNamespace, user));
		expectGolden(`runc-${userNamespace}-${name}`, config);
		expectGolden(`seccomp-${userNamespace === 'single' ? '1001' : name}`, seccomp);
	});

	test.each(USERS)('the bwrap call for user %s is the golden one', (name, user) => {
		expectGolden(`bwrap-${userNamespace}-${name}`, callOf(specOf(userNamespace, user)));
	});
});

describe('with every limit', () => {
	test.each(NAMESPACES)('in user namespace %s what the sandboxes are told is the golden one', (userNamespace) => {
		const spec = specOf(userNamespace, ROOT_USER, LIMITS);
		expectGolden(`runc-${userNamespace}-limits`, configOf(spec).config);
		expectGolden(`bwrap-${userNamespace}-limits`, callOf(spec));
		expectGolden('prlimit-limits', prlimitOptions(LIMITS.ulimits));
	});
});

describe('the bwrap call', () => {
	const spec = specOf('none', ASSEMBLE_USER);

	test('takes PATH away when the process has none', () => {
		const { options } = callOf({ ...spec, process: { ...spec.process, env: { HOME: '/' } } });
		expect(options.join(' ')).toContain('--unsetenv PATH');
		expect(callOf(spec).options).not.toContain('--unsetenv');
	});

	test('shows binds in their order, after the system’s directories', () => {
		const binds = ['/a', '/b'].map((name): BindMount => {
			return { source: `/mnt${name}`, destination: name, type: 'file', readOnly: true };
		});
		const { options } = callOf({ ...spec, binds });
		const at = (text: string) => options.indexOf(text);
		expect(at('/proc')).toBeLessThan(at('/mnt/a'));
		expect(at('/mnt/a')).toBeLessThan(at('/mnt/b'));
	});

	test('starts as the assemble user where bwrap has more than one id, since it cannot switch users', () => {
		expect(callOf(specOf('full', ASSEMBLE_USER))).toMatchObject({ uid: 1001, gid: 0 });
		expect(callOf(specOf('single', ASSEMBLE_USER))).toMatchObject({ uid: undefined, gid: undefined });
	});

	test('drops all capabilities of root but Docker’s', () => {
		const { options } = callOf(specOf('full', ROOT_USER));
		expect(options.slice(0, 2)).toEqual(['--cap-drop', 'ALL']);
		expect(options).not.toContain('CAP_SYS_ADMIN');
		expect(options).not.toContain('--unshare-user');
	});
});

describe('the OCI runtime configuration', () => {
	interface Config {
		readonly process: {
			readonly capabilities: Readonly<Record<string, readonly string[]>>;
			readonly noNewPrivileges: boolean;
			readonly user: object;
		};
	}
	const settingsOf = (...args: Parameters<typeof specOf>) => runtimeConfig(specOf(...args), false, MACHINE) as Config;

	test('gives no user but root any capability, and nobody new privileges', () => {
		for (const namespace of NAMESPACES) {
			const { process } = settingsOf(namespace, ASSEMBLE_USER);
			expect(Object.values(process.capabilities).flat()).toEqual([]);
			expect(process.noNewPrivileges).toBe(true);
		}
		const { capabilities } = settingsOf('none', ROOT_USER).process;
		expect(capabilities['effective']).not.toContain('CAP_SYS_ADMIN');
		expect([capabilities['inheritable'], capabilities['ambient']]).toEqual([[], []]);
	});

	test('has limits that JavaScript has no number for, and nothing else that looks like them is touched', () => {
		const env = { LIMIT: '"soft":"unlimited"' };
		const spec = specOf('none', ROOT_USER, LIMITS);
		const text = runtimeConfigText({ ...spec, process: { ...spec.process, env, argv: ['"hard":"unlimited"'] } }, false);
		expect(text).toContain('"rlimits":[{"type":"RLIMIT_NOFILE","soft":1024,"hard":4096}');
		expect(text).toContain('{"type":"RLIMIT_CORE","soft":0,"hard":18446744073709551615}');
		expect(JSON.parse(text)).toMatchObject({
			process: { args: ['"hard":"unlimited"'], env: ['LIMIT="soft":"unlimited"'] },
		});
	});

	test('has no capability left for a root that drops all', () => {
		const { process } = runtimeConfig(
			specOf('none', ROOT_USER, { ...LIMITS, capDrop: ['ALL'] }),
			false,
			MACHINE,
		) as Config;
		expect(Object.values(process.capabilities).flat()).toEqual([]);
	});

	test('runs as the namespace’s only id where there is but one', () => {
		expect(settingsOf('single', ASSEMBLE_USER).process.user).toMatchObject({ uid: 0, gid: 0, additionalGids: [] });
	});
});
