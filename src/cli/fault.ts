import { isBuildError, messageOf } from '../errors.js';

/**
 * What was thrown out of a callback, an event handler or a timer of this process, or rejected with nobody to hear it: always a bug. Only
 * the first counts, since the others mostly come of it.
 */
export interface Fault {
	/** Aborted with the fault as its reason, so that the running command ends as after any other failure. */
	readonly signal: AbortSignal;
	/** The fault for whoever tells the user; undefined while there is none, and once somebody took it. */
	readonly take: () => Error | undefined;
	/** Resolves when the command has had its time to end. */
	readonly overdue: Promise<undefined>;
}

/** For a callback of 30 s, the worker's clean-up, and what gives up after 30 s. */
const END_LIMIT_MS = 90_000;

/** Listens from now on until this process ends; `onFault` hears of the first fault. */
export function listenForFaults(onFault: () => void): Fault {
	const controller = new AbortController();
	const { promise: overdue, resolve } = Promise.withResolvers<undefined>();
	let untold: Error | undefined;
	const listen = (thrown: unknown) => {
		if (controller.signal.aborted) return;
		untold = asBug(thrown);
		// What waits for a callback that threw would leave nothing to wait for, and the process would end at once.
		setTimeout(resolve, END_LIMIT_MS, undefined);
		controller.abort(untold);
		onFault();
	};
	process.on('uncaughtException', listen);
	process.on('unhandledRejection', listen);
	return {
		signal: controller.signal,
		take: () => {
			const taken = untold;
			untold = undefined;
			return taken;
		},
		overdue,
	};
}

/** A BuildError belongs to who asked for the work; one that nobody caught is a bug as well. */
function asBug(thrown: unknown): Error {
	if (thrown instanceof Error && !isBuildError(thrown)) return thrown;
	const bug = new Error(`nobody caught ${thrown instanceof Error ? thrown.message : messageOf(thrown)}`);
	if (thrown instanceof Error && thrown.stack !== undefined) bug.stack = thrown.stack;
	return bug;
}
