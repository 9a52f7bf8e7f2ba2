import { BuildError } from '../errors.js';
import { SIGNAL_STATUS } from './exit-code.js';

/** The signal that ends a command, and the exit status it asks for. */
export interface Interrupt {
	readonly signal: AbortSignal;
	/** 130, 143 or 129 once a signal came or the outer one aborted; undefined before. */
	readonly exitStatus: () => number | undefined;
	/** Stops listening. */
	readonly [Symbol.dispose]: () => void;
}

/**
 * Turns the first SIGINT, SIGTERM or SIGHUP into an abort with INTERRUPTED, and gives all later ones back to the kernel, whose
 * default ends the process at once.
 */
export function listenForInterrupt(outer: AbortSignal | undefined): Interrupt {
	const controller = new AbortController();
	let status: number | undefined;
	const listeners = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((name) => ({
		name,
		listener: () => {
			stop();
			status = SIGNAL_STATUS[name];
			controller.abort(interrupted(name));
		},
	}));
	const stop = () => {
		for (const { name, listener } of listeners) process.removeListener(name, listener);
	};
	for (const { name, listener } of listeners) process.on(name, listener);
	const signal = outer === undefined ? controller.signal : AbortSignal.any([outer, controller.signal]);
	return {
		signal,
		exitStatus: () => status ?? (signal.aborted ? SIGNAL_STATUS.SIGINT : undefined),
		[Symbol.dispose]: stop,
	};
}

function interrupted(name: keyof typeof SIGNAL_STATUS): BuildError {
	return new BuildError('INTERRUPTED', `ended by ${name}`, {
		cause: name,
		hint: 'Run the command again; what was downloaded completely is kept in the store.',
	});
}
