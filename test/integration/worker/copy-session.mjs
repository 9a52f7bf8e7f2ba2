// A list of calls to the compiled worker, as whichever user runs this. Reads a plan as JSON from standard input and writes, as JSON, the
// responses up to the first call that failed, and what that said.
import { createReadStream, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const dist = new URL(process.env.S2OCI_TEST_DIST ?? '../../../dist/', import.meta.url);
const { startWorker } = await import(new URL('host/start-worker.js', dist));
const { startBlobServer } = await import(new URL('host/blob-server.js', dist));

const { store, layers, rootfs, calls } = JSON.parse(readFileSync(0, 'utf8'));
const scratch = join(store, 'work', 'session');
mkdirSync(scratch, { recursive: true, mode: 0o700 });
const signal = new AbortController().signal;
const options = {
	store,
	scratch,
	env: process.env,
	rootfs,
	userns: 'auto',
	streams: 'forward',
	onEvent: () => undefined,
};
const worker = await startWorker(options, signal);
for (const from of ['stdout', 'stderr']) worker[from].on('data', (chunk) => process.stderr.write(chunk));
const paths = new Map(layers.map(({ wanted, path }) => [wanted.blob.digest, path]));
const server = await startBlobServer(async (digest) => createReadStream(paths.get(digest)), scratch, signal);
await worker.call('unpack', { layers: layers.map(({ wanted }) => wanted), blobSocket: server.path });
server.close();

const responses = [];
let error;
try {
	for (const [name, request] of calls) responses.push(await worker.call(name, request));
} catch ({ code, message }) {
	error = { code, message };
}
await worker.close();
process.stdout.write(JSON.stringify({ userNamespace: worker.userNamespace, responses, error }));
