// Looks for lock files in a directory until standard input ends, and prints how many it found that nobody held.
import { closeSync, fstatSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const dist = new URL(process.env.S2OCI_TEST_DIST ?? '../../../dist/', import.meta.url);
const { loadLibc } = await import(new URL('linux/libc.js', dist).href);
const libc = await loadLibc();
const directory = process.argv[2];
const held = new Set();
let free = 0;
let isOver = false;
process.stdin.on('end', () => (isOver = true)).resume();
process.stdout.write('ready\n');
while (!isOver) {
	for (let round = 0; round < 200; round++) look();
	await new Promise((resolve) => setImmediate(resolve));
}
process.stdout.write(`${free}\n`);

function look() {
	for (const name of readdirSync(directory)) {
		if (!name.endsWith('.lock') || held.has(name)) continue;
		const file = openSync(join(directory, name), 'r+');
		if (libc.tryLock(file) && fstatSync(file).nlink > 0) free++;
		held.add(name);
		closeSync(file);
	}
}
