import { messageOf } from '../../errors.js';
import { redact } from '../../redact.js';
import { IN_PLACE } from '../../sandbox/ladder.js';
import { mountImage } from '../images/mount-image.js';
import { createRecord } from '../record.js';
import type { HostRequest } from '../request.js';
import { openSession } from '../session.js';
import type { RungTrial } from './diagnosis.js';
import type { DoctorTarget } from './target.js';

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
