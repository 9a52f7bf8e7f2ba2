import { type BuildError, isBuildError, messageOf } from '../../errors.js';
import type { NamespacePlan } from '../../host/user-namespace.js';
import type { FindingCode } from './advice.js';
import type { SandboxTrial, StoreState } from './diagnosis.js';
import { type HostFacts, isNetworkType } from './facts.js';

/** What explains a failure. */
export interface Evidence {
	readonly facts: HostFacts;
	readonly store: Pick<StoreState, 'fileSystem' | 'mountOptions'>;
	readonly plan: Pick<NamespacePlan, 'kind' | 'mounts'>;
	/** Whether the image was to be copied instead of mounted. */
	readonly copied: boolean;
}

/** Why a worker could not be started under `plan`, given what that threw. */
export function causeOfStart(error: unknown, evidence: Evidence): FindingCode {
	const message = messageOf(error);
	const told = isBuildError(error) ? causeOfCode(error, evidence) : causeOfProgram(message, evidence.facts);
	if (told !== undefined) return told;
	const { facts, store, plan, copied } = evidence;
	if (copied && isNoexec(store) && message.includes(': mount')) return 'NOEXEC';
	if (!plan.mounts) return 'NAMESPACES';
	return plan.kind === 'none' ? causeOfMount(message, facts) : causeOfNamespace(message, facts);
}

function causeOfCode({ code, message }: BuildError, { facts, store }: Evidence): FindingCode | undefined {
	if (code === 'HOST_NO_OVERLAY') return causeOfOverlay(message, store);
	if (code === 'HOST_STORE') return 'STORE_UNWRITABLE';
	if (code === 'HOST_NO_SPACE') return 'NO_SPACE';
	return code === 'HOST_NO_NAMESPACES' && message.includes('/proc') ? causeOfProc(facts) : undefined;
}

function causeOfProgram(message: string, facts: HostFacts): FindingCode | undefined {
	if (/new[ug]idmap is not installed/.test(message)) return 'NO_NEWUIDMAP';
	if (message.includes('(package util-linux)')) return 'NO_UNSHARE';
	return /new[ug]idmap failed/.test(message) ? causeOfMapping(facts) : undefined;
}

/** Why none of the sandboxes that were tried ran a program, of which there was one at least. */
export function causeOfSandbox(trials: readonly SandboxTrial[], { facts, store, plan, copied }: Evidence): FindingCode {
	if (!plan.mounts && !facts.capabilities.sysChroot) return 'NO_SYS_CHROOT';
	if (trials.every(({ reason = '' }) => reason.includes('is not installed'))) return 'NO_SANDBOX';
	if (copied && isNoexec(store)) return 'NOEXEC';
	const isForbidden = trials.some(({ reason = '' }) => /EPERM|not permitted|EACCES/.test(reason));
	return isForbidden && facts.seccomp ? 'SECCOMP' : 'SANDBOX_REFUSED';
}

function isNoexec({ mountOptions }: Evidence['store']): boolean {
	return mountOptions.includes('noexec');
}

/** Why this kernel mounts no overlay in the store. */
function causeOfOverlay(message: string, { fileSystem }: Evidence['store']): FindingCode {
	if (message.includes('koffi')) return 'NO_KOFFI';
	if (fileSystem === 'overlay') return 'OVERLAY_ON_OVERLAY';
	return isNetworkType(fileSystem) ? 'NETWORK_FILE_SYSTEM' : 'NO_OVERLAY';
}

/** A worker that gained no rights when it became root of its namespace meets its first refusal there. */
function causeOfProc({ maskedProc, noNewPrivileges }: HostFacts): FindingCode {
	return noNewPrivileges && !maskedProc ? 'NO_NEW_PRIVS' : 'MASKED_PROC';
}

function causeOfMapping({ noNewPrivileges, mappers, apparmorRestricts, inContainer }: HostFacts): FindingCode {
	if (noNewPrivileges) return 'NO_NEW_PRIVS';
	if (mappers?.nosuid === true) return 'MAPPER_NOSUID';
	if (apparmorRestricts) return 'APPARMOR_USERNS';
	if (mappers?.setuid === false) return 'MAPPER_UNPRIVILEGED';
	return inContainer && mappers?.setuid === true ? 'MAPPER_SET_UID' : 'SUBUID_REFUSED';
}

/** Root needs no user namespace. */
function causeOfMount(message: string, { capabilities, seccomp }: HostFacts): FindingCode {
	if (!capabilities.sysAdmin) return 'NO_SYS_ADMIN';
	if (message.includes('Permission denied')) return 'APPARMOR_MOUNT';
	return seccomp ? 'SECCOMP' : 'NAMESPACES';
}

/** The kernel answers ENOSPC when the limit is met; AppArmor and seccomp both answer EPERM or EACCES. */
function causeOfNamespace(message: string, facts: HostFacts): FindingCode {
	if (facts.maxUserNamespaces === 0 || message.includes('No space left')) return 'MAX_USER_NAMESPACES';
	if (facts.cloneForbidden && facts.uid !== 0) return 'USERNS_CLONE';
	if (facts.apparmorRestricts && !facts.capabilities.sysAdmin) return 'APPARMOR_USERNS';
	if (facts.changedRoot) return 'CHANGED_ROOT';
	if (message.includes('propagation: Permission denied')) return 'APPARMOR_MOUNT';
	return facts.seccomp ? 'SECCOMP' : 'NAMESPACES';
}
