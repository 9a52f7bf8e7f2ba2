import { execFileSync, spawn } from 'node:child_process';
import {
	chmodSync,
	chownSync,
	closeSync,
	constants,
	lchownSync,
	linkSync,
	lstatSync,
	mkdirSync,
	openSync,
	readdirSync,
	readFileSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { writeFiles } from '../../../src/cli/outcome.js';
import type { BuildOutcome } from '../../../src/pipeline/result.js';
import { temporaryDirectory } from '../../support/fs.js';
import { needs } from '../../support/needs.js';

const outcome = { result: { success: true, digest: 'sha256:1' } } as unknown as BuildOutcome;

function write(resultFile: string): Promise<unknown> {
	return writeFiles(outcome, { resultFile, digestFile: undefined });
}

describe('the result file', () => {
	test('takes the place of an older one as a whole, with its mode, and leaves nothing beside it', async () => {
		using directory = temporaryDirectory();
		const [path, other] = [join(directory.path, 'result.json'), join(directory.path, 'other')];
		writeFileSync(path, 'old');
		chmodSync(path, 0o600);
		linkSync(path, other);
		expect(await write(path)).toBeUndefined();
		expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(outcome.result);
		expect(lstatSync(path).mode & 0o777).toBe(0o600);
		expect(readFileSync(other, 'utf8')).toBe('old');
		expect(readdirSync(directory.path).sort()).toEqual(['other', 'result.json']);
	});

	test('that is a link is written to what it points to', async () => {
		using directory = temporaryDirectory();
		const [path, target] = [join(directory.path, 'result.json'), join(directory.path, 'target')];
		symlinkSync(target, path);
		expect(await write(path)).toBeUndefined();
		expect(JSON.parse(readFileSync(target, 'utf8'))).toEqual(outcome.result);
		expect(lstatSync(path).isSymbolicLink()).toBe(true);
	});

	test.for(['result.json', 'dir/result.json', 'by-ours'])(
		'behind a link of another user is refused, at %s',
		async (name, context) => {
			needs(context, process.getuid?.() === 0, 'only root can give a link to another user');
			using directory = temporaryDirectory();
			const victim = join(directory.path, 'victim');
			mkdirSync(victim);
			writeFileSync(join(victim, 'result.json'), 'of the victim');
			symlinkSync(join(victim, 'result.json'), join(directory.path, 'result.json'));
			symlinkSync(victim, join(directory.path, 'dir'));
			symlinkSync('dir/result.json', join(directory.path, 'by-ours'));
			for (const link of ['result.json', 'dir']) lchownSync(join(directory.path, link), 1234, 1234);
			expect(await write(join(directory.path, name))).toMatchObject({
				code: 'OUTPUT_FAILED',
				message: expect.stringContaining('is a link of user 1234') as string,
			});
			expect(readFileSync(join(victim, 'result.json'), 'utf8')).toBe('of the victim');
			expect(readdirSync(victim)).toEqual(['result.json']);
		},
	);

	test('that is a pipe is written to its reader, and is an error without one', async () => {
		using directory = temporaryDirectory();
		const path = join(directory.path, 'pipe');
		execFileSync('mkfifo', [path]);
		expect(await write(path)).toMatchObject({
			code: 'OUTPUT_FAILED',
			message: expect.stringContaining('nobody reads') as string,
		});
		const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
		try {
			expect(await write(path)).toBeUndefined();
			expect(JSON.parse(readFileSync(reader, 'utf8'))).toEqual(outcome.result);
		} finally {
			closeSync(reader);
		}
	});

	test('may be larger than a pipe, whose reader is slow, and ends when it never reads', {
		timeout: 30_000,
	}, async () => {
		using directory = temporaryDirectory();
		const path = join(directory.path, 'pipe');
		execFileSync('mkfifo', [path]);
		const large = { result: { success: true, digest: 'x'.repeat(300_000) } } as unknown as BuildOutcome;
		const slow = spawn('sh', ['-c', 'exec <"$1"; sleep 1; wc -c', 'sh', path], { stdio: ['ignore', 'pipe', 'ignore'] });
		const read = slow.stdout.toArray();
		await delay(300);
		expect(await writeFiles(large, { resultFile: path, digestFile: undefined })).toBeUndefined();
		expect(Number(Buffer.concat((await read) as Buffer[]).toString())).toBeGreaterThan(300_000);
		const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
		const stuck = await writeFiles(large, { resultFile: path, digestFile: undefined });
		closeSync(reader);
		expect(stuck).toMatchObject({ code: 'OUTPUT_FAILED', message: expect.stringContaining('reads') as string });
	});

	test('may be an open file of this process', async () => {
		using directory = temporaryDirectory();
		const file = openSync(join(directory.path, 'open'), 'w');
		expect(await write(`/proc/self/fd/${file}`)).toBeUndefined();
		expect(await write(`/dev/fd/${file}`)).toBeUndefined();
		closeSync(file);
		expect(JSON.parse(readFileSync(join(directory.path, 'open'), 'utf8'))).toEqual(outcome.result);
	});

	test('of another user stays theirs', async (context) => {
		needs(context, process.getuid?.() === 0, 'only root can give a file to another user');
		using directory = temporaryDirectory();
		const path = join(directory.path, 'result.json');
		writeFileSync(path, 'longer than what is written, so that the rest of it would show');
		chownSync(path, 1234, 1234);
		expect(await write(path)).toBeUndefined();
		expect(lstatSync(path).uid).toBe(1234);
		expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(outcome.result);
	});

	test('may be a device', async () => {
		expect(await write('/dev/null')).toBeUndefined();
		expect(lstatSync('/dev/null').isCharacterDevice()).toBe(true);
	});

	test('in a directory that is not there is an error with a code', async () => {
		using directory = temporaryDirectory();
		expect(await write(join(directory.path, 'missing', 'result.json'))).toMatchObject({ code: 'OUTPUT_FAILED' });
	});
});
