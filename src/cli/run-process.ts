import { exitCodeOf } from './exit-code.js';
import { listenForFaults, renderError, useColor } from './io.js';
import { main } from './main.js';

/**
 * Runs the command line of this process and sets its exit status. Whatever nobody catches, at any time, ends as 70: the running command
 * is given the time to write its files, report and clean up, and one message says what happened.
 */
export async function runProcess(): Promise<void> {
	let hasEnded = false;
	const fault = listenForFaults(() => {
		if (hasEnded) end();
	});
	const { stdout, stderr, env, argv } = process;
	const io = { stdout, stderr, env, argv, fault };
	const end = (): never => {
		const untold = fault.take();
		if (untold !== undefined) stderr.write(renderError(untold, useColor(io)));
		process.exit(exitCodeOf(fault.signal.reason));
	};
	const status = await Promise.race([main(argv.slice(2), io), fault.overdue]);
	hasEnded = true;
	if (fault.signal.aborted || status === undefined) end();
	else process.exitCode = status;
}
