import { MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_REC } from '../linux/libc.js';
import type { MountStep } from '../linux/mount-steps.js';
import { type RawPath, rawPath } from '../root-path.js';
import { MASKED_PATHS, READONLY_PATHS } from './kernel-paths.js';
import type { BindMount, SandboxSpec } from './sandbox.js';

type TypeOf = (path: string) => 'file' | 'directory' | undefined;

const KERNEL_FLAGS = MS_NOSUID | MS_NODEV | MS_NOEXEC;
const DEVICES: readonly string[] = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];
const LINKS: readonly (readonly [string, string])[] = [
	['fd', '/proc/self/fd'],
	['stdin', '/proc/self/fd/0'],
	['stdout', '/proc/self/fd/1'],
	['stderr', '/proc/self/fd/2'],
	['ptmx', 'pts/ptmx'],
];

/**
 * What is mounted in the root directory of `spec` before a process is confined to it, where that may be done: what the OCI runtimes mount.
 * `typeOf` says what is at a path of the kernel here.
 */
export function chrootMounts({ rootfs, binds, proc }: SandboxSpec, typeOf: TypeOf): readonly MountStep[] {
	const at = (path: string): RawPath => rawPath(`${rootfs}${path}`);
	return [
		bind(at(''), at('')),
		...mountProc(at, proc),
		bind(rawPath('/sys'), at('/sys')),
		{ type: 'restrict', path: at('/sys'), flags: MS_RDONLY | KERNEL_FLAGS, optional: proc === 'job' },
		// What is masked in the job's own is so already, and may not be touched.
		...READONLY_PATHS.flatMap((path) => (typeOf(path) === undefined ? [] : readOnly(at(path), proc === 'job'))),
		...MASKED_PATHS.flatMap((path) => mask(at(path), typeOf(path), proc === 'job')),
		...devices(at),
		...binds.flatMap((each) => hostBind(each, at)),
	];
}

function mountProc(at: (path: string) => RawPath, proc: SandboxSpec['proc']): readonly MountStep[] {
	if (proc === 'job') return [bind(rawPath('/proc'), at('/proc'))];
	return [mount('proc', at('/proc'), 'proc', KERNEL_FLAGS, '')];
}

function readOnly(path: RawPath, optional: boolean): readonly MountStep[] {
	return [
		{ ...bind(path, path), optional },
		{ type: 'restrict', path, flags: MS_RDONLY | KERNEL_FLAGS, optional },
	];
}

function mask(path: RawPath, type: ReturnType<TypeOf>, optional: boolean): readonly MountStep[] {
	if (type === undefined) return [];
	if (type === 'file') return [{ ...bind(rawPath('/dev/null'), path), optional }];
	return [{ ...mount('tmpfs', path, 'tmpfs', MS_RDONLY | KERNEL_FLAGS, 'size=0'), optional }];
}

function devices(at: (path: string) => RawPath): readonly MountStep[] {
	return [
		mount('tmpfs', at('/dev'), 'tmpfs', MS_NOSUID, 'mode=755,size=65536k'),
		...DEVICES.flatMap((name): readonly MountStep[] => [
			{ type: 'file', path: at(`/dev/${name}`) },
			bind(rawPath(`/dev/${name}`), at(`/dev/${name}`)),
		]),
		...LINKS.map(([name, target]): MountStep => ({ type: 'link', path: at(`/dev/${name}`), target })),
		...['pts', 'shm'].map((name): MountStep => ({ type: 'directory', path: at(`/dev/${name}`), mode: 0o755 })),
		{
			...mount('devpts', at('/dev/pts'), 'devpts', MS_NOSUID | MS_NOEXEC, 'newinstance,ptmxmode=0666,mode=620'),
			optional: true,
		},
		mount('shm', at('/dev/shm'), 'tmpfs', KERNEL_FLAGS, 'mode=1777,size=65536k'),
	];
}

function hostBind(
	{ source, destination, readOnly: isReadOnly }: BindMount,
	at: (path: string) => RawPath,
): readonly MountStep[] {
	const flags = MS_NOSUID | MS_NODEV | (isReadOnly ? MS_RDONLY : 0);
	return [bind(rawPath(source), at(destination)), { type: 'restrict', path: at(destination), flags }];
}

function bind(source: RawPath, path: RawPath) {
	return { type: 'mount', source, path, fileSystem: '', flags: MS_BIND | MS_REC, data: '' } as const;
}

function mount(source: string, path: RawPath, fileSystem: string, flags: number, data: string) {
	return { type: 'mount', source: rawPath(source), path, fileSystem, flags, data } as const;
}
