import { statSync } from 'node:fs';
import { isWithin, type RootPath } from '../root-path.js';

/** What a sandbox mounts for the kernel: nothing of an image belongs there, and nothing from there into a layer. */
export const KERNEL_DIRECTORIES = ['proc', 'sys', 'dev'] as readonly string[] as readonly RootPath[];

/** Whether `path` is one of the kernel's directories or lies in one. */
export function isKernels(path: RootPath): boolean {
	return KERNEL_DIRECTORIES.some((directory) => isWithin(path, directory));
}

/** Files of the kernel that tell of the host or change it: what container engines hide from a process (OCI `maskedPaths`), and
 * how memory is used. */
export const MASKED_PATHS: readonly string[] = [
	'/proc/asound',
	'/proc/acpi',
	'/proc/interrupts',
	'/proc/kcore',
	'/proc/keys',
	'/proc/kpagecgroup',
	'/proc/kpagecount',
	'/proc/kpageflags',
	'/proc/latency_stats',
	'/proc/timer_list',
	'/proc/timer_stats',
	'/proc/sched_debug',
	'/proc/scsi',
	'/proc/slabinfo',
	'/proc/vmallocinfo',
	'/sys/firmware',
	'/sys/devices/virtual/powercap',
];

/** Those that stay readable (OCI `readonlyPaths`). */
export const READONLY_PATHS: readonly string[] = [
	'/proc/bus',
	'/proc/fs',
	'/proc/irq',
	'/proc/sys',
	'/proc/sysrq-trigger',
];

/** What is at such a path here; undefined when this kernel does not have it. */
export function typeOf(path: string): 'file' | 'directory' | undefined {
	const found = statSync(path, { throwIfNoEntry: false });
	if (found === undefined) return undefined;
	return found.isDirectory() ? 'directory' : 'file';
}
