import type { Dispatcher } from 'undici';
import { BuildError } from '../errors.js';

/** What a download must bring at the least: `bytesPerSecond`, as the mean of `seconds` that were waited for it; 0 is no limit. */
export interface LeastRate {
	readonly bytesPerSecond: number;
	readonly seconds: number;
}

/** The `code` of the error of a download that was too slow. */
export const TOO_SLOW = 'TOO_SLOW';
/** What to do about such a download. */
export const SLOW_HINT =
	'The server, or a proxy or network before it, is too slow; try again, or set S2OCI_LOW_SPEED_LIMIT (bytes a second) lower; 0 waits for ever.';

const LOOKS = 10;

/**
 * The rate that S2OCI_LOW_SPEED_LIMIT (bytes a second, default 1000) and S2OCI_LOW_SPEED_TIME (seconds, default 30) of `env` ask for, as
 * git's variables of like names do. Throws USAGE for what is no whole number, and no seconds.
 */
export function readLeastRate(env: Readonly<Record<string, string | undefined>>): LeastRate {
	return {
		bytesPerSecond: readNumber(env, 'S2OCI_LOW_SPEED_LIMIT', 1000, 0),
		seconds: readNumber(env, 'S2OCI_LOW_SPEED_TIME', 30, 1),
	};
}

/** Aborts a response whose body comes slower than `rate`. Time in which the reader is not ready for more does not count. */
export function requireRate(rate: LeastRate): Dispatcher.DispatcherComposeInterceptor {
	return (dispatch) => (options, handler) => {
		if (rate.bytesPerSecond === 0) return dispatch(options, handler);
		return dispatch(options, watched(handler, rate, new URL(String(options.origin)).host));
	};
}

function watched(handler: Dispatcher.DispatchHandler, rate: LeastRate, host: string): Dispatcher.DispatchHandler {
	let [bytes, looks] = [0, 0];
	let timer: NodeJS.Timeout | undefined;
	const look = (controller: Dispatcher.DispatchController): void => {
		if (controller.paused) return;
		looks += 1;
		if (looks < LOOKS) return;
		if (bytes < rate.bytesPerSecond * rate.seconds) controller.abort(tooSlow(rate, host));
		[bytes, looks] = [0, 0];
	};
	return {
		onRequestStart: (controller, context) => handler.onRequestStart?.(controller, context),
		onRequestUpgrade: (...args) => handler.onRequestUpgrade?.(...args),
		onResponseStart: (controller, status, ...rest) => {
			if (status >= 200) timer ??= setInterval(look, (rate.seconds * 1000) / LOOKS, controller).unref();
			handler.onResponseStart?.(controller, status, ...rest);
		},
		onResponseData: (controller, chunk) => {
			bytes += chunk.length;
			handler.onResponseData?.(controller, chunk);
		},
		onResponseEnd: (...args) => {
			clearInterval(timer);
			handler.onResponseEnd?.(...args);
		},
		onResponseError: (...args) => {
			clearInterval(timer);
			handler.onResponseError?.(...args);
		},
	};
}

function tooSlow({ bytesPerSecond, seconds }: LeastRate, host: string): Error {
	const message = `${host} sent less than ${bytesPerSecond} bytes a second for ${seconds} s`;
	return Object.assign(new Error(message), { code: TOO_SLOW });
}

function readNumber(
	env: Readonly<Record<string, string | undefined>>,
	name: string,
	byDefault: number,
	least: number,
): number {
	const text = env[name]?.trim() ?? '';
	if (text === '') return byDefault;
	if (/^[0-9]{1,9}$/.test(text) && Number(text) >= least) return Number(text);
	throw new BuildError('USAGE', `${name} is no whole number${least === 0 ? '' : ' above 0'}`, {
		hint: `Set ${name} to a number such as ${byDefault}, or unset it.`,
	});
}
