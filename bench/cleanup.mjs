// What was made is removed again: in order of need, when the benchmark ends, fails or is interrupted.
const undone = new Set();

/** Runs `undo` when the program ends, unless the returned function, which runs it at once, was called before. It must not wait for anything. */
export function atEnd(undo) {
	const once = () => {
		if (!undone.delete(once)) return;
		undo();
	};
	undone.add(once);
	return once;
}

process.on('exit', () => {
	for (const undo of [...undone].reverse()) {
		try {
			undo();
		} catch (error) {
			process.stderr.write(`bench: not removed: ${error.message}\n`);
		}
	}
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));
