import { setTimeout as delay } from 'node:timers/promises';
import { rawPath } from '../../root-path.js';
import { digestContent } from '../../source/content-digest.js';
import type { FetchedSource } from '../prepare/prepare.js';
import type { BuildRequest } from '../request.js';
import { hasBuiltSource } from './built-images.js';
import { isAlwaysMade, whyNoKeyAsAsked } from './read-key.js';

/** For so long a build waits for what the store knows of its source, in ms: starting the worker takes about that. */
const PATIENCE_MS = 150;

/**
 * What the fetched source holds, as {@link digestContent} names it; undefined where no image may be named again, or the source could not be
 * fetched. To be called before the source is moved. Never rejects.
 */
export function digestSource(
	request: BuildRequest,
	fetching: Promise<FetchedSource>,
	signal: AbortSignal,
): Promise<string | undefined> {
	if (whyNoKeyAsAsked(request) !== undefined) return Promise.resolve(undefined);
	return fetching.then(({ directory }) => digestContent(rawPath(directory), signal)).catch(() => undefined);
}

/**
 * Resolves as soon as the build is more likely made than not: when the store knows no image of this source, or it takes long to find that out.
 * May never resolve. Until then nobody needs a worker.
 */
export async function seemsChanged(request: BuildRequest, digesting: Promise<string | undefined>): Promise<void> {
	if (isAlwaysMade(request)) return;
	const isKnown = digesting.then(
		async (source) => source !== undefined && (await hasBuiltSource(request.host.store, source)),
	);
	const late = delay(PATIENCE_MS, false, { ref: false });
	if (await Promise.race([isKnown, late])) await new Promise(() => undefined);
}
