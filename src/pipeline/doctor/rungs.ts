import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../errors.js';
import { makeScratch } from '../../host/make-scratch.js';
import { startWorkerIn, type WorkerOptions, type WorkerProcess } from '../../host/start-worker.js';
import { type NamespacePlan, planNamespaces } from '../../host/user-namespace.js';
import { redact } from '../../redact.js';
import { IN_PLACE, isCopied, isOn, LADDER, type LadderStep, type RungNumber } from '../../sandbox/ladder.js';
import type { SandboxName } from '../../sandbox/sandboxes.js';
import { TINY_STATUS, tinyProgram } from '../../sandbox/tiny-program.js';
import { mountImage } from '../images/mount-image.js';
import { createRecord } from '../record.js';
import type { HostRequest } from '../request.js';
import { openSession } from '../session.js';
import type { FindingCode } from './advice.js';
import { causeOfSandbox, causeOfStart, type Evidence } from './causes.js';
import type { DoctorTarget } from './check-registry.js';
import type { RungTrial, SandboxTrial } from './diagnosis.js';
import type { HostFacts } from './facts.js';

/** What trying needs to know. */
export interface TrialContext {
	readonly request: Pick<HostRequest, 'store' | 'env'>;
	readonly facts: HostFacts;
	readonly store: Evidence['store'];
}

const LIMIT_MS = 30_000;
/** Whoever most builder images run as. */
const USER = { uid: 1001, gid: 0, additionalGids: [] };
type Missing = Pick<RungTrial, 'status' | 'reason' | 'findings'>;

/** Why this user has no namespaces that could be on a rung. */
const MISSING: Readonly<Partial<Record<RungNumber, (facts: HostFacts) => Missing>>> = {
	1: (facts) => (facts.uid === 0 ? skipped('we are root with one id only') : notRoot(facts)),
	2: ({ uid }) =>
		uid === 0 ? skipped('root needs no range') : blocked('no range in /etc/subuid and /etc/subgid', 'NO_SUBUID'),
	5: (facts) => (facts.uid === 0 ? skipped('root is the only id here') : notRoot(facts)),
};

/**
 * Tries to build on every rung but the last, in order, as builds would, in the real store: a worker in the namespaces, a root filesystem, and in each
 * sandbox a program that ends with a status of its own. No attempt takes longer than half a minute. Rejects when `signal` is aborted.
 */
export async function tryRungs(context: TrialContext, signal: AbortSignal): Promise<readonly RungTrial[]> {
	const plans = planNamespaces(process.getuid?.() ?? 0, process.getgid?.() ?? 0);
	const trials: RungTrial[] = [];
	for (const step of LADDER) if (step !== IN_PLACE) trials.push(await tryStep(step, plans, context, signal));
	return trials;
}

/**
 * Has `start` start a worker with a new scratch directory in the store, runs a program in each of its sandboxes, and gives both to `look`.
 * The worker is ended and the directory removed afterwards. Throws HOST_NO_SPACE, HOST_STORE, and what starting throws.
 */
export async function withWorker<T>(
	{ store, env }: TrialContext['request'],
	rootfs: WorkerOptions['rootfs'],
	start: (options: WorkerOptions) => Promise<WorkerProcess>,
	look: (worker: WorkerProcess, trials: readonly SandboxTrial[]) => Promise<T> | T,
): Promise<T> {
	const scratch = await makeScratch(store);
	const how = { store, scratch, env, rootfs, userns: 'auto', isolation: 'auto' } as const;
	try {
		const worker = await start({ ...how, streams: 'forward', onEvent: () => undefined });
		try {
			return await look(worker, await trySandboxes(worker, scratch));
		} finally {
			await worker.close();
		}
	} finally {
		await rm(scratch, { recursive: true, force: true }).catch(() => undefined);
		await rm(`${scratch}.lock`, { force: true }).catch(() => undefined);
	}
}

async function trySandboxes(worker: WorkerProcess, scratch: string): Promise<readonly SandboxTrial[]> {
	const source = join(scratch, 'probe-program');
	await mkdir(source, { mode: 0o755 });
	await writeFile(join(source, 'end'), tinyProgram(process.arch) ?? new Uint8Array());
	await chmod(join(source, 'end'), 0o755);
	worker.stdout?.resume();
	worker.stderr?.resume();
	await worker.call('mount', { root: 'builder', diffIds: [] });
	const placement = { source, destination: '/s2oci', owner: { uid: USER.uid, gid: USER.gid }, keep: false };
	await worker.call('prepare', { root: 'builder', placements: [placement], binds: [], workingDir: '/' });
	const trials: SandboxTrial[] = [];
	for (const name of worker.sandboxes) trials.push(await trySandbox(worker, name));
	return trials;
}

/** The first plan that works is the rung's; else the first one tells why. */
async function tryStep(
	step: LadderStep,
	plans: readonly NamespacePlan[],
	context: TrialContext,
	signal: AbortSignal,
): Promise<RungTrial> {
	const { number: rung, name } = step;
	const fitting = plans.filter(({ kind, mounts }) => isOn(step, { userNamespace: kind, mounts }));
	let first: Omit<RungTrial, 'rung' | 'name'> | undefined;
	for (const plan of fitting) {
		const trial = await tryPlan(step, plan, context, signal);
		if (trial.status === 'works') return { rung, name, ...trial };
		first ??= trial;
	}
	return { rung, name, ...(first ?? { ...missingOn(rung, context.facts), sandboxes: [] }) };
}

async function tryPlan(
	{ place: { rootfs } }: LadderStep,
	plan: NamespacePlan,
	{ request, facts, store }: TrialContext,
	outer: AbortSignal,
): Promise<Omit<RungTrial, 'rung' | 'name'>> {
	const signal = AbortSignal.any([outer, AbortSignal.timeout(LIMIT_MS)]);
	const evidence: Evidence = { facts, store, plan, copied: isCopied(rootfs) };
	try {
		const start = (options: WorkerOptions) => startWorkerIn(plan, options, signal);
		const sandboxes = await withWorker(request, rootfs, start, (_worker, trials) => trials);
		const refused = sandboxes.filter(({ works }) => !works);
		const reason = refused.map((each) => `${each.name}: ${each.reason ?? ''}`).join('; ');
		if (refused.length < sandboxes.length) return { status: 'works', reason, findings: [], sandboxes };
		return { ...blocked(reason, causeOfSandbox(sandboxes, evidence)), sandboxes };
	} catch (error) {
		outer.throwIfAborted();
		const cause = signal.aborted ? 'TIMEOUT' : causeOfStart(error, evidence);
		return { ...blocked(messageOf(error), cause), sandboxes: [] };
	}
}

async function trySandbox(worker: WorkerProcess, name: SandboxName): Promise<SandboxTrial> {
	const process = { argv: ['/s2oci/end'] as const, env: { PATH: '/' }, cwd: '/', user: USER };
	try {
		const { exit } = await worker.call('execute', { root: 'builder', process, sandboxes: [name], streams: 'forward' });
		if (exit.type === 'code' && exit.code === TINY_STATUS) return { name, works: true };
		const how = exit.type === 'code' ? `status ${exit.code}` : exit.signal;
		return { name, works: false, reason: `the program could not be run (${how})` };
	} catch (error) {
		return { name, works: false, reason: tidy(messageOf(error)) };
	}
}

/** Without what execute says around each refusal. */
function tidy(message: string): string {
	const inner = /^no sandbox could be started \(\w+: (.*)\)$/s.exec(message)?.[1] ?? message;
	return redact(inner).replace(/\s+/g, ' ').slice(0, 300);
}

function missingOn(rung: RungNumber, facts: HostFacts): Missing {
	return MISSING[rung]?.(facts) ?? skipped('it is not for this user');
}

function notRoot({ uid }: HostFacts): Missing {
	return blocked(`we are not root but user ${uid}`, 'NOT_ROOT');
}

function blocked(reason: string, finding: FindingCode): Missing {
	return { status: 'blocked', reason: redact(reason).replace(/\s+/g, ' ').slice(0, 500), findings: [finding] };
}

function skipped(reason: string): Missing {
	return { status: 'skipped', reason, findings: [] };
}

const NAMED = { rung: IN_PLACE.number, name: IN_PLACE.name, sandboxes: [] } as const;
const UNTRIED = 'works when the image of the job is the builder image, which s2oci doctor BUILDER finds out';

/** Rung 6 where nobody asked: only a build in the builder image can tell. */
export const IN_PLACE_UNTRIED: RungTrial = { ...NAMED, status: 'unknown', reason: UNTRIED, findings: ['IN_PLACE'] };

/**
 * Whether this container runs one of the images `targets`, found out as a build in place does: what it downloads for that, which is nothing
 * where the image's scripts are not here, is in the store for that build. Rejects only when `signal` is aborted.
 */
export async function tryInPlace(
	request: HostRequest,
	targets: readonly DoctorTarget[],
	signal: AbortSignal,
): Promise<RungTrial> {
	const reasons: string[] = [];
	for (const target of targets) {
		if (target.type !== 'image') continue;
		try {
			await adopt(request, target, signal);
			const sandboxes = [{ name: 'none', works: true }] as const;
			return { ...NAMED, status: 'works', reason: `this container runs ${target.name}`, findings: [], sandboxes };
		} catch (error) {
			signal.throwIfAborted();
			reasons.push(`${target.name}: ${redact(messageOf(error)).replace(/\s+/g, ' ').slice(0, 300)}`);
		}
	}
	if (reasons.length === 0) return IN_PLACE_UNTRIED;
	return { ...NAMED, status: 'blocked', reason: reasons.join('; '), findings: ['IN_PLACE'] };
}

async function adopt(
	asked: HostRequest,
	{ reference }: Extract<DoctorTarget, { readonly type: 'image' }>,
	signal: AbortSignal,
): Promise<void> {
	const request = { ...asked, rootfs: 'in-place', isolation: 'none' } as const;
	const nothing = () => undefined;
	const record = createRecord(nothing);
	await using session = await openSession(request, { streams: 'forward', onEvent: nothing, emit: nothing }, signal);
	await mountImage({ type: 'registry', reference }, 'check', { host: request, session, record }, signal);
}
