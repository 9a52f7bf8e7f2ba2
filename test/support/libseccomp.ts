import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi from 'koffi';
import type { Comparison, Filter } from '../../src/sandbox/profile.js';

/** libseccomp, with which runc and crun compile filters. */
export interface Libseccomp {
	/** Its number of a call; undefined for one that `audit` (linux/audit.h) does not have, or that it does not know. */
	readonly numberOf: (name: string, audit: number) => number | undefined;
	/** `filter` for the architectures `audits` as a program, by the steps of runc (libcontainer/seccomp). */
	readonly compile: (filter: Filter, audits: readonly number[]) => Buffer;
}

const LIBRARY = 'libseccomp.so.2';
const OPERATORS: Readonly<Record<Comparison['op'], number>> = {
	SCMP_CMP_NE: 1,
	SCMP_CMP_LT: 2,
	SCMP_CMP_LE: 3,
	SCMP_CMP_EQ: 4,
	SCMP_CMP_GE: 5,
	SCMP_CMP_GT: 6,
	SCMP_CMP_MASKED_EQ: 7,
};
const ACTIONS: Readonly<Record<string, number>> = {
	SCMP_ACT_ALLOW: 0x7fff0000,
	SCMP_ACT_LOG: 0x7ffc0000,
	SCMP_ACT_ERRNO: 0x00050000,
	SCMP_ACT_KILL_PROCESS: 0x80000000,
};
const EPERM = 1;
const FIRST_PSEUDO = -1;

/** Loads it; undefined where it is not installed. */
export function loadLibseccomp(): Libseccomp | undefined {
	const library = load();
	if (library === undefined) return undefined;
	koffi.struct(`scmp_arg_cmp`, { arg: 'unsigned int', op: 'int', datum_a: 'uint64_t', datum_b: 'uint64_t' });
	const resolve = library.func('int seccomp_syscall_resolve_name_arch(uint32_t arch, const char *name)');
	const init = library.func('void *seccomp_init(uint32_t action)');
	const addArch = library.func('int seccomp_arch_add(void *filter, uint32_t arch)');
	const addRule = library.func(
		'int seccomp_rule_add_array(void *filter, uint32_t action, int call, unsigned int count, scmp_arg_cmp *conditions)',
	);
	const exportBpf = library.func('int seccomp_export_bpf(void *filter, int fd)') as (
		filter: unknown,
		fd: number,
	) => number;
	const release = library.func('void seccomp_release(void *filter)');
	const native = library.func('uint32_t seccomp_arch_native()') as () => number;
	const numberOf = (name: string, audit: number) => {
		const number = resolve(audit, name) as number;
		return number <= FIRST_PSEUDO ? undefined : number;
	};
	const compile = (filter: Filter, audits: readonly number[]) => {
		const other = actionOf(filter.defaultAction, filter.defaultErrnoRet);
		const handle: unknown = init(other);
		for (const audit of audits) addArch(handle, audit);
		for (const { names, action, errnoRet, args = [] } of filter.syscalls) {
			const wanted = actionOf(action, errnoRet);
			if (wanted === other) continue;
			const isTwice = new Set(args.map(({ index }) => index)).size < args.length;
			for (const name of names) {
				const call = resolve(native(), name) as number;
				if (call === FIRST_PSEUDO) continue;
				for (const conditions of isTwice ? args.map((each) => [each]) : [args]) {
					const status = addRule(handle, wanted, call, conditions.length, conditions.map(toStruct)) as number;
					if (status !== 0) throw new Error(`seccomp_rule_add_array: ${name}: ${status}`);
				}
			}
		}
		const program = write((fd) => exportBpf(handle, fd));
		release(handle);
		return program;
	};
	return { numberOf, compile };
}

function load(): ReturnType<typeof koffi.load> | undefined {
	try {
		return koffi.load(LIBRARY);
	} catch {
		return undefined;
	}
}

function actionOf(action: string, errnoRet: number | undefined): number {
	return (ACTIONS[action] ?? 0) + (action === 'SCMP_ACT_ERRNO' ? (errnoRet ?? EPERM) : 0);
}

function toStruct({ index, op, value, valueTwo = 0 }: Comparison): object {
	return { arg: index, op: OPERATORS[op], datum_a: value, datum_b: valueTwo };
}

function write(to: (fd: number) => void): Buffer {
	const path = join(tmpdir(), `filter-${randomUUID()}`);
	const fd = openSync(path, 'wx', 0o600);
	try {
		to(fd);
		return readFileSync(path);
	} finally {
		closeSync(fd);
		rmSync(path);
	}
}
