// Saves artifacts with the compiled worker, as whichever user runs this. Reads a plan as JSON from standard input; writes one JSON line.
import { createReadStream, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const dist = new URL(process.env.S2OCI_TEST_DIST ?? '../../../dist/', import.meta.url);
const { startWorker } = await import(new URL('host/start-worker.js', dist));
const { startBlobServer } = await import(new URL('host/blob-server.js', dist));

const { store, blob, layer, scripts } = JSON.parse(readFileSync(0, 'utf8'));
const signal = new AbortController().signal;
const scratch = join(store, 'work/artifacts');
mkdirSync(scratch, { recursive: true, mode: 0o700 });
const process_ = (script) => ({
	argv: ['/bin/sh', '-c', script],
	env: { PATH: '/bin', HOME: '/opt/app' },
	cwd: '/opt/app',
	user: { uid: 1001, gid: 0, additionalGids: [] },
});
const owner = { uid: 1001, gid: 0 };
const outcome = (promise) =>
	promise.then(
		(value) => ({ value }),
		({ code, message }) => ({ error: { code, message } }),
	);
/** Every name below the directory with its mode, type and, for files, content. */
const list = (directory, name = '') =>
	readdirSync(join(directory, name), { withFileTypes: true })
		.map((entry) => [entry, name === '' ? entry.name : `${name}/${entry.name}`])
		.sort(([, a], [, b]) => (a < b ? -1 : 1))
		.flatMap(([entry, path]) => {
			const mode = (lstatSync(join(directory, path)).mode & 0o7777).toString(8);
			if (entry.isDirectory()) return [`${mode} ${path}/`, ...list(directory, path)];
			return [entry.isFile() ? `${mode} ${path} ${readFileSync(join(directory, path), 'utf8')}` : `link ${path}`];
		});

const stderr = [];
const worker = await startWorker(
	{ store, scratch, env: process.env, rootfs: 'auto', streams: 'forward', onEvent: () => undefined },
	signal,
);
worker.stderr.on('data', (chunk) => stderr.push(chunk)).resume();
const result = { userNamespace: worker.userNamespace, saved: [] };
try {
	const server = await startBlobServer(() => Promise.resolve(createReadStream(blob)), scratch, signal);
	await worker.call('unpack', { layers: [layer], blobSocket: server.path });
	server.close();
	await worker.call('mount', { root: 'previous', diffIds: [layer.diffId] });
	await worker.call('prepare', { root: 'previous', placements: [], binds: [], workingDir: '/opt/app' });
	for (const [number, { script, sandboxes, pack }] of scripts.entries()) {
		const directory = join(scratch, 'saved');
		const archive = join(scratch, `archive-${number}`);
		const request = { root: 'previous', process: process_(script), sandboxes, directory, owner };
		const saved = await outcome(worker.call('saveArtifacts', { ...request, ...(pack && { pack: archive }) }));
		const entry = { ...saved, files: existsSync(directory) ? list(directory) : undefined };
		if (pack) {
			const again = join(scratch, 'restored');
			entry.restored = await outcome(worker.call('restoreArtifacts', { archive, directory: again, owner }));
			entry.again = existsSync(again) ? list(again) : undefined;
		}
		result.saved.push(entry);
	}
	await worker.call('unmount', { root: 'previous' });
} finally {
	await worker.close();
}
process.stdout.write(
	JSON.stringify({ ...result, stderr: Buffer.concat(stderr).toString(), left: readdirSync(join(store, 'work')) }),
);
