import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Libc, loadLibc } from '../../../src/linux/libc.js';
import { digestOf } from '../../../src/oci/digest.js';
import { rawPath } from '../../../src/root-path.js';
import { readBlob, type StopAsked } from '../../../src/worker/read-blob.js';
import { temporaryDirectory } from '../../support/fs.js';

/** Answers a line with stdin, in pieces with pauses that are longer than a read waits. Reading blocks, so it is a process of its own. */
const SERVER = `
const { createServer } = require('node:net');
const input = require('node:fs').readFileSync(0);
const [path, pieces] = process.argv.slice(1);
createServer((socket) => {
	socket.on('error', () => undefined);
	socket.once('data', (line) => {
		if (!/^sha256:[0-9a-f]{64}\\n$/.test(line)) socket.destroy();
		const size = Math.ceil(input.length / pieces) || 1;
		const send = (at) => {
			if (at >= input.length) return socket.end();
			socket.write(input.subarray(at, at + size));
			setTimeout(send, pieces > 1 ? 300 : 0, at + size);
		};
		send(0);
	});
}).listen(path, () => console.log('ready'));
`;

async function libc(): Promise<Libc> {
	const found = await loadLibc();
	if (found === undefined) throw new Error('koffi has no binary here');
	return found;
}

type How = 'blocking' | 'by the event loop';

const never: StopAsked = { signal: new AbortController().signal, look: () => undefined };

/** Stop, at the second look or soon, whichever comes first. */
function soon(): StopAsked {
	const stopping = new AbortController();
	const timer = setTimeout(() => {
		stopping.abort();
	}, 400);
	let looks = 0;
	const look = () => {
		if (++looks < 2) return;
		clearTimeout(timer);
		stopping.abort();
	};
	return { signal: stopping.signal, look };
}

/** What is read of `sent` when `wanted` is asked for: the hash of it and its size. */
async function read(
	how: How,
	sent: Buffer,
	wanted: Buffer,
	{ pieces = 1, stop = never } = {},
): Promise<{ hash: string; size: number }> {
	using directory = temporaryDirectory();
	const path = join(directory.path, 'blobs');
	const server = spawn(process.execPath, ['-e', SERVER, path, String(pieces)], { stdio: ['pipe', 'pipe', 'inherit'] });
	const ended = once(server, 'exit');
	try {
		server.stdin.end(sent);
		await once(server.stdout, 'data');
		const hash = createHash('sha256');
		let size = 0;
		const asked = { digest: digestOf(wanted), size: wanted.length };
		for await (const chunk of readBlob(asked, path, how === 'blocking' ? await libc() : undefined, stop)) {
			hash.update(chunk);
			size += chunk.length;
		}
		return { hash: hash.digest('hex'), size };
	} finally {
		server.kill('SIGKILL');
		await ended;
	}
}

const blob = randomBytes(3_000_000);
const whole = { hash: digestOf(blob).slice('sha256:'.length), size: blob.length };
const mismatch = expect.objectContaining({ code: 'DIGEST_MISMATCH' }) as Error;

describe.each<[How]>([['blocking'], ['by the event loop']])('reading a blob from the blob server, %s,', (how) => {
	test('gives its bytes, all of them', async () => {
		expect(await read(how, blob, blob)).toEqual(whole);
	});

	test('goes on after a pause that is longer than a read waits', async () => {
		expect(await read(how, blob, blob, { pieces: 3 })).toEqual(whole);
	});

	test('ends when it is asked to stop, in a pause too', async () => {
		const start = Date.now();
		await expect(read(how, blob, blob, { pieces: 1000, stop: soon() })).rejects.toThrow(
			expect.objectContaining({ name: 'AbortError' }) as Error,
		);
		expect(Date.now() - start).toBeLessThan(10_000);
	});

	test('gives nothing for a blob of no bytes', async () => {
		expect((await read(how, Buffer.alloc(0), Buffer.alloc(0))).size).toBe(0);
	});

	test.each<[string, Buffer]>([
		['ends early', blob.subarray(0, -1)],
		['goes on', Buffer.concat([blob, Buffer.from('x')])],
		['goes on for long', Buffer.concat([blob, blob])],
		['is another one', Buffer.from(blob).fill(0, 1_000_000, 1_000_001 + 8)],
		['is not there', Buffer.alloc(0)],
	])('fails when it %s', async (_what, sent) => {
		await expect(read(how, sent, blob)).rejects.toThrow(mismatch);
	});
});

test('a connection fails with the errno when nobody listens', async () => {
	const { connect } = await libc();
	using directory = temporaryDirectory();
	expect(() => connect(rawPath(join(directory.path, 'none')), 200)).toThrow(
		expect.objectContaining({ code: 'ENOENT' }) as Error,
	);
});
