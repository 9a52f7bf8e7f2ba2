// One build's worth of calls to the compiled worker, as whichever user runs this. Reads a plan as JSON from standard input; writes one
// JSON line for each step it begins, and a last one with what came of it.
import { createReadStream, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const dist = new URL(process.env.S2OCI_TEST_DIST ?? '../../../dist/', import.meta.url);
const { startWorker } = await import(new URL('host/start-worker.js', dist));
const { startBlobServer } = await import(new URL('host/blob-server.js', dist));

const plan = JSON.parse(readFileSync(0, 'utf8'));
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const signal = new AbortController().signal;
const scratch = join(plan.store, 'work', plan.name);
mkdirSync(scratch, { recursive: true, mode: 0o700 });

const fds = (pid) => readdirSync(`/proc/${pid}/fd`).length;
const output = { stdout: [], stderr: [] };
const result = { build: plan.name, before: fds(process.pid) };
let worker;
try {
	say({ step: 'start' });
	worker = await startWorker(
		{
			store: plan.store,
			scratch,
			env: process.env,
			rootfs: plan.rootfs,
			userns: plan.userns,
			streams: 'forward',
			onEvent: () => undefined,
		},
		signal,
	);
	for (const from of ['stdout', 'stderr']) worker[from].on('data', (chunk) => output[from].push(chunk)).resume();
	Object.assign(result, { userNamespace: worker.userNamespace, reason: worker.reason });
	const diffIds = plan.layers.map((layer) => layer.wanted.diffId);
	result.present = (await worker.call('present', { diffIds })).present;
	say({ step: 'unpack' });
	const blobs = new Map(plan.layers.map((layer) => [layer.wanted.blob.digest, layer.path]));
	const server = await startBlobServer(
		(digest) => Promise.resolve(createReadStream(blobs.get(digest))),
		scratch,
		signal,
	);
	try {
		const missing = plan.layers.map((layer) => layer.wanted).filter((layer) => !result.present.includes(layer.diffId));
		Object.assign(result, await worker.call('unpack', { layers: missing, blobSocket: server.path }));
	} finally {
		server.close();
		result.stored = (await worker.call('present', { diffIds })).present;
	}
	await worker.call('mount', { root: 'builder', diffIds });
	say({ step: 'inspect' });
	Object.assign(result, await worker.call('inspect', { root: 'builder', ...plan.inspect }));
	await worker.call('prepare', { root: 'builder', ...plan.prepare });
	if (plan.execute !== undefined) {
		say({ step: 'execute' });
		const ended = await worker.call('execute', { root: 'builder', ...plan.execute, streams: 'forward' });
		Object.assign(result, ended);
		const size = (from) => output[from].reduce((sum, chunk) => sum + chunk.length, 0);
		for (const from of ['stdout', 'stderr']) {
			for (let waited = 0; size(from) < ended.forwarded[from] && waited < 200; waited++) {
				await new Promise((resolve) => setTimeout(resolve, 10));
			}
		}
	}
	if (plan.pack !== undefined) {
		say({ step: 'pack' });
		const { assembleUser, excluded, epoch, output: path } = plan.pack;
		result.statistics = (await worker.call('diff', { root: 'builder', assembleUser, excluded })).statistics;
		result.layer = await worker.call('pack', { root: 'builder', epoch, output: path });
	}
} catch (error) {
	result.error = { code: error.code, message: error.message };
}
say({ step: 'close' });
await worker?.close();
const read = (from) => Buffer.concat(output[from]).toString('latin1');
say({
	result: { ...result, stdout: read('stdout'), stderr: read('stderr'), left: readdirSync(join(plan.store, 'work')) },
});
