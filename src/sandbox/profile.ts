/** What is done with a call, in the words of libseccomp. */
export const ACTIONS = [
	'SCMP_ACT_ALLOW',
	'SCMP_ACT_ERRNO',
	'SCMP_ACT_KILL',
	'SCMP_ACT_KILL_PROCESS',
	'SCMP_ACT_KILL_THREAD',
	'SCMP_ACT_LOG',
	'SCMP_ACT_TRACE',
	'SCMP_ACT_TRAP',
] as const;
export type Action = (typeof ACTIONS)[number];

/** How an argument is compared with `value`, unsigned; for MASKED_EQ that is a mask, and `valueTwo` what is left. */
export const OPERATORS = [
	'SCMP_CMP_EQ',
	'SCMP_CMP_GE',
	'SCMP_CMP_GT',
	'SCMP_CMP_LE',
	'SCMP_CMP_LT',
	'SCMP_CMP_MASKED_EQ',
	'SCMP_CMP_NE',
] as const;

/** A condition on the argument `index`, 0 to 5. */
export interface Comparison {
	readonly index: number;
	readonly value: number;
	readonly valueTwo?: number | undefined;
	readonly op: (typeof OPERATORS)[number];
}

/** What `includes` and `excludes` of a rule ask for. */
export interface Conditions {
	/** Processors as Go names them. */
	readonly arches?: readonly string[] | undefined;
	readonly caps?: readonly string[] | undefined;
	/** `4.8`. */
	readonly minKernel?: string | undefined;
}

/** A rule as the OCI runtime configuration has it: all conditions hold, but for those on the same argument, of which one does. */
export interface FilterRule {
	readonly names: readonly string[];
	readonly action: Action;
	readonly errnoRet?: number | undefined;
	readonly args?: readonly Comparison[] | undefined;
}

/** A rule of a {@link Profile}. */
export interface ProfileRule extends FilterRule {
	readonly includes?: Conditions | undefined;
	readonly excludes?: Conditions | undefined;
}

/** A profile for one process on one machine (runtime-spec v1.2.0 config-linux.md, seccomp). */
export interface Filter {
	readonly defaultAction: Action;
	readonly defaultErrnoRet?: number | undefined;
	/** The processors whose calls may be made, in libseccomp's words; undefined: all that this one can run. */
	readonly architectures?: readonly string[] | undefined;
	readonly syscalls: readonly FilterRule[];
}

/** A seccomp profile as Docker and Podman read it (moby/profiles seccomp/default.json), without what only other processors need. */
export interface Profile extends Filter {
	readonly syscalls: readonly ProfileRule[];
}

/** Where a filter is to hold. */
export interface Machine {
	/** As `process.arch`. */
	readonly arch: string;
	/** As `os.release()`. */
	readonly kernel: string;
}

const GO_ARCHES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** The rules of `profile` that hold on `machine` for a process with `capabilities`. */
export function resolveProfile(profile: Profile, machine: Machine, capabilities: readonly string[]): Filter {
	const syscalls = profile.syscalls.filter((rule) => holds(rule, machine, capabilities));
	return {
		...profile,
		syscalls: syscalls.map(({ names, action, errnoRet, args = [] }) => ({
			names,
			action,
			...(errnoRet !== undefined && { errnoRet }),
			...(args.length > 0 && { args }),
		})),
	};
}

function holds({ includes, excludes }: ProfileRule, machine: Machine, capabilities: readonly string[]): boolean {
	return (
		(includes === undefined || allHold(includes, machine, capabilities)) &&
		(excludes === undefined || !anyHolds(excludes, machine, capabilities))
	);
}

function allHold(conditions: Conditions, machine: Machine, capabilities: readonly string[]): boolean {
	const { arches = [], caps = [], minKernel } = conditions;
	if (arches.length > 0 && !isHere(conditions, machine)) return false;
	if (minKernel !== undefined && !isNew(conditions, machine)) return false;
	return caps.every((cap) => capabilities.includes(cap));
}

function anyHolds(conditions: Conditions, machine: Machine, capabilities: readonly string[]): boolean {
	const has = (cap: string) => capabilities.includes(cap);
	return isHere(conditions, machine) || isNew(conditions, machine) || conditions.caps?.some(has) === true;
}

function isHere({ arches }: Conditions, { arch }: Machine): boolean {
	return arches?.includes(GO_ARCHES[arch] ?? arch) === true;
}

function isNew({ minKernel }: Conditions, { kernel }: Machine): boolean {
	return minKernel !== undefined && isAtLeast(kernel, minKernel);
}

function isAtLeast(kernel: string, least: string): boolean {
	const numbers = (text: string) => text.split(/[.-]/).map(Number);
	const [major = 0, minor = 0] = numbers(kernel);
	const [leastMajor = 0, leastMinor = 0] = numbers(least);
	return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}
