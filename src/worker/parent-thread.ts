import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { workerData } from 'node:worker_threads';
import { killDescendants } from '../sandbox/descendants.js';
import type { Watched } from './watch-parent.js';

/** How long the main thread may take to notice that the parent is gone. */
const NOTICE_MS = 500;
/** How long its clean-up may take; what it leaves, the next build removes. */
const CLEAN_MS = 5000;
/** How long what it started may take to die. */
const KILL_MS = 300;

/** `process.exit` in a thread would end the thread alone. */
async function endProcess({ cleaning }: Watched): Promise<void> {
	await delay(NOTICE_MS);
	if (Atomics.load(cleaning, 0) !== 0) await delay(CLEAN_MS);
	await Promise.race([killDescendants(), delay(KILL_MS)]);
	process.kill(process.pid, 'SIGKILL');
}

const watched = workerData as Watched;
const parent = new Socket({ fd: watched.fd, readable: true, writable: false });
parent.on('error', () => undefined);
parent.on('close', () => void endProcess(watched));
// A build that was stopped says so before it leaves its worker to clean up.
parent.on('data', () => void Atomics.store(watched.cleaning, 0, 1));
