import { writeSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadLibc } from '../../../src/linux/libc.js';
import { openForward } from '../../../src/worker/output.js';
import { skipFor } from '../../support/needs.js';

const libc = await loadLibc();
const OURS = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const TEXT = 'printed before the end\n';

/** Keeps this thread from reading, as a machine does that has much else to do. */
function block(ms: number): void {
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test('what a process printed is passed on though nobody came to read it for a while', async (context) => {
	skipFor(context, libc === undefined ? 'koffi has no binary for this platform' : undefined);
	if (libc === undefined) return;
	const { streams, started, drained } = openForward(libc, OURS, undefined);
	writeSync(streams.stderr, TEXT);
	started();
	const forwarded = drained();
	block(1500);
	await expect(forwarded).resolves.toEqual({ stdout: 0, stderr: TEXT.length });
});

test('whoever holds the output of a process open after its end is waited for while it writes, but not for ever', async (context) => {
	skipFor(context, libc === undefined ? 'koffi has no binary for this platform' : undefined);
	if (libc === undefined) return;
	const { streams, drained } = openForward(libc, OURS, undefined);
	const begun = performance.now();
	const forwarded = drained();
	for (const ms of [300, 1300]) setTimeout(() => writeSync(streams.stderr, TEXT), ms);
	await expect(forwarded).resolves.toEqual({ stdout: 0, stderr: 2 * TEXT.length });
	expect(performance.now() - begun).toBeLessThan(8000);
});
