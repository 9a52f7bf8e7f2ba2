import type { WorkerProcess } from '../host/start-worker.js';
import { isCopied, type Place, rungNumber } from '../sandbox/ladder.js';
import { withoutName } from '../sandbox/no-sandbox.js';
import { describeFinding, type FindingCode } from './doctor/advice.js';
import { causeOfSandbox, causeOfStart, type Evidence } from './doctor/causes.js';
import { detectEnvironments, type HostFacts, readFacts } from './doctor/facts.js';
import { readStore } from './doctor/store-state.js';
import type { Rung } from './events.js';
import type { HostRequest } from './request.js';

/** The rung of a worker, without a sandbox. */
export function placeOf(worker: Place): Pick<Rung, 'number' | 'userNamespace' | 'rootfs'> {
	return { number: rungNumber(worker), userNamespace: worker.userNamespace, rootfs: worker.rootfs };
}

/** The rung on which `worker` builds, with what keeps it from a better one and what would raise it. */
export async function describeRung(
	worker: WorkerProcess,
	request: Pick<HostRequest, 'env' | 'store' | 'rootfs'>,
): Promise<Rung> {
	const [sandbox = 'none'] = worker.sandboxes;
	const rung = { ...placeOf(worker), sandbox };
	const facts = readFacts(request.env);
	const [code] = await findCauses(worker, request, facts);
	if (code === undefined) return { ...rung, reason: [worker.reason, ...remarksOn(worker)].join('; ') };
	const { message, fixes } = describeFinding(code, detectEnvironments(request.env, facts));
	const [first] = fixes;
	return { ...rung, reason: message, ...(first !== undefined && { advice: first.fix }) };
}

/** What is not as usual with the sandbox. */
function remarksOn({ sandboxes: [sandbox], less, refused }: WorkerProcess): readonly string[] {
	const passed = refused.map((each) =>
		each.reason.includes('is not installed') ? each.reason : `${each.sandbox} was refused (${withoutName(each)})`,
	);
	if (!less) return passed;
	return [...passed, `this container leaves ${String(sandbox)} no host name, keyring or root mount of its own`];
}

/** What is in the way of a better rung, the most important first; nothing where it was chosen by the user or is the best. */
async function findCauses(
	{ refusals, rootfs, proc, mounts }: WorkerProcess,
	{ store, rootfs: wanted }: Pick<HostRequest, 'store' | 'rootfs'>,
	facts: HostFacts,
): Promise<readonly FindingCode[]> {
	const isOnCopy = isCopied(rootfs) && mounts && wanted === 'auto';
	const isMasked = mounts && proc === 'job';
	if (refusals.length === 0 && !isOnCopy && !isMasked) return [];
	const state = await readStore(store);
	const causes = refusals.map(({ plan, error }) => causeOf(error, { facts, store: state, plan, copied: false }));
	const overlay = isOnCopy ? [...state.findings.filter(isOfOverlay), 'NO_OVERLAY' as const].slice(0, 1) : [];
	return [...causes, ...overlay, ...(isMasked ? ['MASKED_PROC' as const] : [])];
}

function causeOf(error: Error, evidence: Evidence): FindingCode {
	if ('code' in error && error.code === 'HOST_NO_SANDBOX')
		return causeOfSandbox([{ name: 'chroot', works: false, reason: error.message }], evidence);
	return causeOfStart(error, evidence);
}

function isOfOverlay(code: FindingCode): boolean {
	return code === 'OVERLAY_ON_OVERLAY' || code === 'NETWORK_FILE_SYSTEM';
}
