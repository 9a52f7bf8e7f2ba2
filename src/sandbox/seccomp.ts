import { release } from 'node:os';
import { ARCHITECTURES, compileFilter } from './bpf.js';
import { DEFAULT_PROFILE } from './default-profile.js';
import { type Filter, type Machine, resolveProfile } from './profile.js';
import { capabilitiesOf, type SandboxSpec } from './sandbox.js';

type Filtered = Pick<SandboxSpec, 'process' | 'userNamespace' | 'limits'> & {
	/** Whether processes of the host may be among those that the process can name: what reaches into another process is then refused. */
	readonly besideOthers?: boolean;
};

/** Root that is confined to a directory could go on as any other process (ptrace(2), process_vm_readv(2)). */
const INTO_OTHERS: readonly string[] = [
	'ptrace',
	'process_vm_readv',
	'process_vm_writev',
	'process_madvise',
	'process_mrelease',
	'kcmp',
	'pidfd_getfd',
];

/** The machine that we run on. */
export const HERE: Machine = { arch: process.arch, kernel: release() };

/** What the process of `spec` may call on `machine`; undefined for everything. */
function filterOf(
	{ process: { user }, userNamespace, limits, besideOthers = false }: Filtered,
	machine: Machine,
): Filter | undefined {
	const capabilities = userNamespace !== 'single' && user.uid === 0 ? capabilitiesOf(limits) : [];
	const { seccomp } = limits;
	if (seccomp === 'unconfined') return undefined;
	if (seccomp !== 'default') return resolveProfile(seccomp, machine, capabilities);
	const filter = resolveProfile(DEFAULT_PROFILE, machine, capabilities);
	return besideOthers ? without(filter, INTO_OTHERS) : filter;
}

function without(filter: Filter, refused: readonly string[]): Filter {
	const syscalls = filter.syscalls.map((rule) => ({
		...rule,
		names: rule.names.filter((name) => !refused.includes(name)),
	}));
	return { ...filter, syscalls: syscalls.filter(({ names }) => names.length > 0) };
}

/**
 * The filter as `linux.seccomp` of the OCI runtime configuration (runtime-spec v1.0.2 config-linux.md); undefined for none, and on
 * processors whose calls we do not know.
 */
export function seccompConfig(spec: Filtered, machine: Machine): object | undefined {
	const filter = filterOf(spec, machine);
	const architectures = ARCHITECTURES[machine.arch]?.map(({ name }) => name);
	if (filter === undefined || architectures === undefined) return undefined;
	const x32 = machine.arch === 'x64' ? ['SCMP_ARCH_X32'] : [];
	return { ...filter, architectures: filter.architectures ?? [...architectures, ...x32] };
}

/** The filter as a program (see {@link compileFilter}); undefined for none. */
export function seccompProgram(spec: Filtered, machine: Machine): Buffer | undefined {
	const filter = filterOf(spec, machine);
	return filter === undefined ? undefined : compileFilter(filter, machine.arch);
}
