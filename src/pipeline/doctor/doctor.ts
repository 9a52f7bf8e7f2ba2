import { startWorker } from '../../host/start-worker.js';
import { findProgram } from '../../program.js';
import { IN_PLACE } from '../../sandbox/ladder.js';
import { SANDBOXES } from '../../sandbox/sandboxes.js';
import type { HostRequest } from '../request.js';
import { describeRung } from '../rung.js';
import { chooseStore } from '../store/settle-store.js';
import { describeFinding, type FindingCode } from './advice.js';
import { parseTarget, tryRegistry } from './check-registry.js';
import type { Diagnosis, RungTrial } from './diagnosis.js';
import { detectEnvironments, readFacts } from './facts.js';
import { IN_PLACE_UNTRIED, type TrialContext, tryInPlace, tryRungs, withWorker } from './rungs.js';
import { readStore } from './store-state.js';

const SANDBOX_PROGRAMS = Object.values(SANDBOXES).flatMap(({ program }) => program ?? []);
const PROGRAMS: readonly string[] = ['unshare', 'newuidmap', 'newgidmap', ...SANDBOX_PROGRAMS, 'git'];
const LIMIT_MS = 60_000;

/**
 * Finds out what builds of `asked` would meet here, by doing what they do, and what is to be done about it; and whether what `names` lead to
 * can be used, as {@link parseTarget} has it. Nothing stays but the empty store. All that it returns is redacted. Throws USAGE and
 * REFERENCE_INVALID for names, and rejects else only when `signal` is aborted.
 */
export async function diagnose(asked: HostRequest, names: readonly string[], signal: AbortSignal): Promise<Diagnosis> {
	const targets = names.map(parseTarget);
	const facts = readFacts(asked.env);
	const { reason, ...store } = await readStore(chooseStore(asked));
	const request = { ...asked, store: store.path };
	const context: TrialContext = { request, facts, store };
	const looking = Promise.all(targets.map((target) => tryRegistry(target, request, signal)));
	looking.catch(() => undefined);
	const outside = reason === undefined ? await tryBest(context, signal) : undefined;
	const tried = reason === undefined ? await tryRungs(context, signal) : [noStore(reason)];
	const isLast = reason === undefined && outside === undefined;
	const inPlace = isLast ? await tryInPlace(request, targets, signal) : IN_PLACE_UNTRIED;
	const rungs = reason === undefined ? [...tried, inPlace] : tried;
	const best = outside ?? bestInPlace(inPlace);
	const programs = PROGRAMS.map((name) => ({ name, path: findProgram(name, request.env['PATH']) }));
	const registries = await looking;
	const places = detectEnvironments(request.env, facts);
	const hasGit = programs.some(({ name, path }) => name === 'git' && path !== undefined);
	const codes = collect({ rungs, best, store, registries }, hasGit);
	const findings = codes.map((code) => describeFinding(code, places));
	return { version: 1, places, rungs, best, store, programs, registries, findings };
}

/** What a build would take: the same start, and the first sandbox in its order that works. */
async function tryBest(context: TrialContext, outer: AbortSignal): Promise<Diagnosis['best']> {
	const signal = AbortSignal.any([outer, AbortSignal.timeout(LIMIT_MS)]);
	try {
		return await withWorker(
			context.request,
			'auto',
			(options) => startWorker(options, signal),
			async (worker, trials) => {
				const sandbox = trials.find(({ works }) => works)?.name;
				const { number, reason } = await describeRung(worker, { ...context.request, rootfs: 'auto' });
				return sandbox && { rung: number, sandbox, reason };
			},
		);
	} catch {
		outer.throwIfAborted();
		return undefined;
	}
}

/** A build that finds nothing better is made in place. */
function bestInPlace({ status, reason }: RungTrial): Diagnosis['best'] {
	return status === 'works' ? { rung: IN_PLACE.number, sandbox: 'none', reason } : undefined;
}

function noStore(reason: string): RungTrial {
	return {
		...{ rung: 1, name: 'any', status: 'blocked', reason, sandboxes: [] },
		findings: ['STORE_UNWRITABLE'],
	};
}

/** What is worth fixing: on a host where builds work, that which keeps them from a better rung. */
function collect(
	{ rungs, best, store, registries }: Pick<Diagnosis, 'rungs' | 'best' | 'store' | 'registries'>,
	hasGit: boolean,
): readonly FindingCode[] {
	const better = best === undefined ? rungs : rungs.filter(({ rung }) => rung < best.rung);
	const all = [...better, store, ...registries].flatMap(({ findings }) => findings);
	const codes = new Set<FindingCode>([...all, ...(hasGit ? [] : (['NO_GIT'] as const))]);
	if (best !== undefined) codes.delete('NOT_ROOT');
	for (const code of codes) if (VOLUME_FINDINGS.has(code) && !isVolumeOfUse(code, best, rungs)) codes.delete(code);
	return [...codes];
}

/** For which another place of the store is the advice. */
const VOLUME_FINDINGS: ReadonlySet<FindingCode> = new Set<FindingCode>([
	...(['OVERLAY_ON_OVERLAY', 'NETWORK_FILE_SYSTEM', 'NO_OVERLAY', 'NOEXEC'] as const),
]);

/** An overlay is all that rung 4 lacks, and no other rung gets further by it; from where nothing may be executed, only copies suffer. */
function isVolumeOfUse(code: FindingCode, best: Diagnosis['best'], rungs: readonly RungTrial[]): boolean {
	if (code !== 'NOEXEC') return best?.rung === 4;
	const better = rungs.filter(({ rung }) => best === undefined || rung < best.rung);
	return better.some(({ findings }) => findings.includes('NOEXEC'));
}
