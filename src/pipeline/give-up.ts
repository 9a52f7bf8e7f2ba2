import { isBuildError } from '../errors.js';

const GIVE_UP_MS = 30_000;

/**
 * `work`, unless `signal` is aborted by a fault, that is with something that is no BuildError: then its reason, at the latest after 30 s.
 * What waits for a callback that has thrown waits for ever.
 */
export async function untilFault<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
	const { promise, reject } = Promise.withResolvers<never>();
	let limit: NodeJS.Timeout | undefined;
	const begin = () => {
		if (isFault(signal)) limit = setTimeout(() => reject(signal.reason as Error), GIVE_UP_MS);
	};
	signal.addEventListener('abort', begin, { once: true });
	try {
		const value = await Promise.race([work, promise]);
		if (isFault(signal)) throw signal.reason;
		return value;
	} finally {
		clearTimeout(limit);
		signal.removeEventListener('abort', begin);
	}
}

function isFault({ aborted, reason }: AbortSignal): boolean {
	return aborted && !isBuildError(reason);
}
