import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { loadLibc } from '../../../src/linux/libc.js';
import { lockScratch } from '../../../src/worker/scratch.js';
import { temporaryDirectory } from '../../support/fs.js';

const WATCH = fileURLToPath(new URL('watch-locks.mjs', import.meta.url));

test('the lock of a scratch directory is never seen unlocked, which others take for a dead build', async () => {
	using directory = temporaryDirectory();
	const libc = await loadLibc();
	if (libc === undefined) throw new Error('koffi is missing');
	const watcher = spawn(process.execPath, [WATCH, directory.path], { stdio: ['pipe', 'pipe', 'inherit'] });
	await once(watcher.stdout, 'data');
	const found = text(watcher.stdout);
	for (let number = 0; number < 300; number++) {
		const scratch = join(directory.path, `scratch-${number}`);
		mkdirSync(scratch);
		lockScratch(scratch, libc);
	}
	watcher.stdin.end();
	expect((await found).trim()).toBe('0');
});
