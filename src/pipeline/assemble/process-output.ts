import type { WorkerProcess } from '../../host/start-worker.js';
import type { Emit } from '../events.js';

/** What the sandboxed process prints: passed on as events, and its last lines remembered for an error message. */
export interface Output {
	/** Resolves once as many bytes were passed on as the worker says it forwarded; what comes later is not passed on. */
	readonly drained: (forwarded: { readonly stdout: number; readonly stderr: number }) => Promise<void>;
	readonly lastLines: () => string;
}

const TAIL_BYTES = 8192;
const TAIL_LINES = 10;
/** Of these, at least so many are kept for stderr when it has them: of two pipes nobody knows which was written to last. */
const STDERR_LINES = 5;
const DRAIN_MS = 2000;

/** Begins to pass on what the worker forwards. */
export function collectOutput(worker: WorkerProcess, emit: Emit): Output {
	const seen = { stdout: 0, stderr: 0 };
	const tails = { stdout: '', stderr: '' };
	let wake: () => void = () => undefined;
	const listeners = (['stdout', 'stderr'] as const).map((from) => {
		const listener = (chunk: Buffer) => {
			seen[from] += chunk.length;
			tails[from] = (tails[from] + chunk.toString('utf8')).slice(-TAIL_BYTES);
			emit({ type: 'output', from, chunk });
			wake();
		};
		worker[from]?.on('data', listener);
		worker[from]?.resume();
		return () => worker[from]?.off('data', listener);
	});
	return {
		drained: async (forwarded) => {
			const isDone = () => seen.stdout >= forwarded.stdout && seen.stderr >= forwarded.stderr;
			if (!isDone()) {
				await new Promise<void>((resolve) => {
					const limit = setTimeout(resolve, DRAIN_MS);
					wake = () => {
						if (!isDone()) return;
						clearTimeout(limit);
						resolve();
					};
				});
			}
			for (const stop of listeners) stop();
		},
		lastLines: () => {
			const [stdout, stderr] = [linesOf(tails.stdout), linesOf(tails.stderr)];
			const end = stderr.slice(-Math.max(STDERR_LINES, TAIL_LINES - stdout.length));
			return [...stdout.slice(-(TAIL_LINES - end.length)), ...end].join('\n');
		},
	};
}

function linesOf(text: string): readonly string[] {
	const trimmed = text.trimEnd();
	return trimmed === '' ? [] : trimmed.split('\n');
}
