// The program that becomes the process of the chroot sandbox, or of none; with the argument `ask`, the one that asks servers of a sandbox. It reads what to become as JSON from descriptor 3. To descriptor 4
// it writes a line end when it is about to, and then why it could not.
import { closeSync, readFileSync, writeSync } from 'node:fs';
import { type Entry, enterRoot } from '../linux/enter.js';
import { loadLibc } from '../linux/libc.js';
import { type MountStep, takeMountSteps } from '../linux/mount-steps.js';
import { answerQuestions } from '../loopback/ask-http.js';

const ENTRY_FD = 3;
const STATUS_FD = 4;

if (process.argv[2] === 'ask') {
	await answerQuestions(process.argv[3]);
	process.exit(0);
}
const entry = JSON.parse(readFileSync(ENTRY_FD, 'utf8')) as Entry & { readonly mounts: readonly MountStep[] };
closeSync(ENTRY_FD);
try {
	const libc = await loadLibc();
	if (libc === undefined) throw new Error('koffi has no binary for this platform');
	takeMountSteps(entry.mounts, libc);
	writeSync(STATUS_FD, '\n');
	await enterRoot(entry);
} catch (error) {
	writeSync(STATUS_FD, error instanceof Error ? error.message : String(error));
	process.exitCode = 1;
}
