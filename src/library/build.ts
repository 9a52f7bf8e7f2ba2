import { BuildError } from '../errors.js';
import type { BuildResult } from '../pipeline/result.js';
import type { BuildOptions, Watching } from './options.js';

/**
 * Builds an image from `options.source` on top of `options.builder`, and writes it to all targets; resolves with what was built. Rejects with
 * a BuildError whose code says what failed (docs/errors.md): INTERRUPTED, with the reason as its cause, once `signal` is aborted. Anything else
 * that it rejects with is a bug. Several may run at a time, also with one store.
 */
export async function build(
	options: BuildOptions,
	{ onEvent = () => undefined, signal }: Watching = {},
): Promise<BuildResult> {
	const [{ checkCombination, checkFiles }, { readOptions }, pipeline] = await Promise.all([
		import('../cli/check-request.js'),
		import('./read-options.js'),
		import('../pipeline/build.js'),
	]);
	const { args, request } = readOptions(options, onEvent);
	checkCombination(args, request, onEvent);
	await checkFiles(request, args.output.files);
	using stop = interruptedBy(signal);
	const { result, error } = await pipeline.build(request, onEvent, stop.signal);
	if (!result.success) throw error;
	return result;
}

/** A signal that is aborted with INTERRUPTED when `outer` is aborted with anything. */
export function interruptedBy(outer: AbortSignal | undefined): Disposable & { readonly signal: AbortSignal } {
	const controller = new AbortController();
	const stop = () => {
		const options = { hint: 'The signal that was given was aborted.', cause: outer?.reason as unknown };
		controller.abort(new BuildError('INTERRUPTED', 'interrupted by the program that asked for it', options));
	};
	if (outer?.aborted === true) stop();
	else outer?.addEventListener('abort', stop, { once: true });
	return { signal: controller.signal, [Symbol.dispose]: () => outer?.removeEventListener('abort', stop) };
}
