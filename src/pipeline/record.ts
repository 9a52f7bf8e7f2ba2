import { isBuildError, messageOf } from '../errors.js';
import { hostFault } from '../host-fault.js';
import type { Image } from '../oci/image.js';
import { redact } from '../redact.js';
import type { BuildEvent, Emit, Rung, Stage } from './events.js';
import type { BuildOutcome, BuildResult } from './result.js';

/** Collects what a build reports and learns, so that there is a result whenever it ends. */
export interface BuildRecord {
	readonly emit: Emit;
	readonly note: (facts: Partial<Omit<BuildResult, 'success' | 'timings' | 'bytes'>>) => void;
	/** Reports the rung, once for each build, and again only when a later process had to take another. */
	readonly rung: (rung: Rung) => void;
	readonly count: (what: keyof BuildResult['bytes'], bytes: number) => void;
	/** Runs one stage, reporting when it starts and ends. */
	readonly stage: <T>(stage: Stage, work: () => Promise<T>, detail?: (value: T) => string | undefined) => Promise<T>;
	readonly succeeded: () => BuildOutcome;
	readonly failed: (error: unknown) => BuildOutcome;
}

/** A new record that passes events on to `emit`. */
export function createRecord(emit: Emit): BuildRecord {
	const bytes = { downloaded: 0, uploaded: 0, mounted: 0 };
	const timings: { stage: Stage; ms: number }[] = [];
	let facts: Partial<BuildResult> = {};
	let rungText = '';
	const observe = (event: BuildEvent) => {
		if (event.type === 'stage' && event.status === 'done') timings.push({ stage: event.stage, ms: event.ms });
		if (event.type === 'rung') facts = { ...facts, rung: event.rung };
		emit(event);
	};
	return {
		emit: observe,
		note: (more) => {
			facts = { ...facts, ...more };
		},
		rung: (rung) => {
			const text = JSON.stringify(rung);
			if (text !== rungText) observe({ type: 'rung', rung });
			rungText = text;
		},
		count: (what, size) => {
			bytes[what] += size;
		},
		stage: async (stage, work, detail) => {
			const start = performance.now();
			observe({ type: 'stage', stage, status: 'start' });
			const value = await work();
			const text = detail?.(value);
			const ms = Math.round(performance.now() - start);
			observe({ type: 'stage', stage, status: 'done', ms, ...(text !== undefined && { detail: text }) });
			return value;
		},
		succeeded: () => ({ result: { ...facts, success: true, bytes, timings }, error: undefined }),
		failed: (thrown) => {
			const error = hostFault(thrown);
			return { result: { ...facts, success: false, bytes, timings, error: describe(error) }, error };
		},
	};
}

/** What a result says of an image. */
export function factsOf({
	manifest,
	config,
	layers,
}: Image): Required<Pick<BuildResult, 'digest' | 'configDigest' | 'size'>> {
	const size = layers.reduce((sum, { blob }) => sum + blob.size, config.descriptor.size);
	return { digest: manifest.descriptor.digest, configDigest: config.descriptor.digest, size };
}

function describe(error: unknown): NonNullable<BuildResult['error']> {
	if (!isBuildError(error)) return { code: 'BUG', message: redact(messageOf(error)) };
	const hint = error.hint === undefined ? {} : { hint: redact(error.hint) };
	return { code: error.code, message: redact(error.message), ...hint };
}
