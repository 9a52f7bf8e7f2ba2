// The program that becomes the sandboxed process of the chroot sandbox. It reads what to become as JSON from descriptor 3, and writes to
// descriptor 4 why it could not; when it could, that descriptor ends empty.
import { closeSync, readFileSync, writeSync } from 'node:fs';
import { type Entry, enterRoot } from '../linux/enter.js';

const ENTRY_FD = 3;
const STATUS_FD = 4;

const entry = JSON.parse(readFileSync(ENTRY_FD, 'utf8')) as Entry;
closeSync(ENTRY_FD);
try {
	await enterRoot(entry);
} catch (error) {
	writeSync(STATUS_FD, error instanceof Error ? error.message : String(error));
	process.exitCode = 1;
}
