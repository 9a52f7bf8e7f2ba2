import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { inheritedPipe, readInheritedPipe } from '../../src/inherited-pipe.js';
import { temporaryDirectory } from '../support/fs.js';

/** A pipe that this process has open for reading, as a shell hands it over, and its end for writing. */
function openPipe() {
	const directory = temporaryDirectory();
	const named = join(directory.path, 'pipe');
	execFileSync('mkfifo', [named]);
	const reader = openSync(named, constants.O_RDONLY | constants.O_NONBLOCK);
	const writer = openSync(named, constants.O_WRONLY);
	onTestFinished(() => {
		closeSync(reader);
		directory[Symbol.dispose]();
	});
	return { named, path: `/dev/fd/${reader}`, reader, writer };
}

function writeFrom(writer: number, command: string): ChildProcess {
	const child = spawn('sh', ['-c', command], { stdio: ['ignore', writer, 'ignore'] });
	closeSync(writer);
	onTestFinished(() => void child.kill('SIGKILL'));
	return child;
}

test('a pipe that was handed over is known by its descriptor, and nothing else is', async () => {
	const { named, path, reader, writer } = openPipe();
	expect(await inheritedPipe(path)).toBe(reader);
	expect(await inheritedPipe(`/proc/self/fd/${reader}`)).toBe(reader);
	for (const other of [named, '/dev/null', '/dev/zero', '/dev/fd/999999', '/dev/fd', import.meta.filename]) {
		expect(await inheritedPipe(other)).toBeUndefined();
	}
	closeSync(writer);
});

test('all that comes out of it is read, however late', async () => {
	const { path, writer } = openPipe();
	writeFrom(writer, 'printf A=1; sleep 0.2; printf "\nB=2\n"');
	expect((await readInheritedPipe(path, 1024, 10_000)).toString()).toBe('A=1\nB=2\n');
});

test('what was written before by a writer that has ended is read', async () => {
	const { path, writer } = openPipe();
	writeSync(writer, 'A=1\n');
	closeSync(writer);
	expect((await readInheritedPipe(path, 4, 1000)).toString()).toBe('A=1\n');
});

test('more than the limit is refused, though it never ends', async () => {
	const { path, writer } = openPipe();
	writeFrom(writer, 'yes');
	await expect(readInheritedPipe(path, 1 << 20, 10_000)).rejects.toThrow('more than 1024 KiB come out of it');
});

test.each(['exec sleep 60', 'while printf x; do sleep 0.01; done'])(
	'a writer that does not end is not waited for: %s',
	async (command) => {
		const { path, writer } = openPipe();
		writeFrom(writer, command);
		await expect(readInheritedPipe(path, 1 << 20, 300)).rejects.toThrow('has not ended after 0.3 s');
	},
);
