import type { WorkerProcess } from '../worker/start.js';
import type { Emit } from './events.js';

/** What the sandboxed process prints: passed on as events, and its last lines remembered for an error message. */
export interface Output {
	/** Resolves once as many bytes were passed on as the worker says it forwarded. */
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
	for (const from of ['stdout', 'stderr'] as const) {
		worker[from]?.on('data', (chunk: Buffer) => {
			seen[from] += chunk.length;
			tails[from] = (tails[from] + chunk.toString('utf8')).slice(-TAIL_BYTES);
			emit({ type: 'output', from, chunk });
			wake();
		});
		worker[from]?.resume();
	}
	return {
		drained: async (forwarded) => {
			const isDone = () => seen.stdout >= forwarded.stdout && seen.stderr >= forwarded.stderr;
			if (isDone()) return;
			await new Promise<void>((resolve) => {
				const limit = setTimeout(resolve, DRAIN_MS);
				wake = () => {
					if (!isDone()) return;
					clearTimeout(limit);
					resolve();
				};
			});
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
