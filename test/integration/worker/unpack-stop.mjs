// Unpacks two layers in two threads again and again, and stops them a bit later each time. Arguments: dist, a directory, and the layer.
import { createServer } from 'node:net';
import { join } from 'node:path';

const [dist, directory, digest, diffId, blob] = process.argv.slice(2);
const { unpackLayers } = await import(new URL('worker/unpack.js', dist).href);
const bytes = Buffer.from(blob, 'base64');
const blobSocket = join(directory, 'blobs');
// The last byte never comes, so that no layer comes to its end.
const server = createServer((socket) => {
	socket.on('error', () => undefined);
	socket.once('data', () => socket.write(bytes.subarray(0, -1)));
});
server.listen(blobSocket);

const layer = { diffId, blob: { digest, size: bytes.length }, compression: 'gzip' };
const context = {
	store: { has: () => false, publish: () => undefined },
	scratch: directory,
	blobSocket,
	ids: { uids: 1, gids: 1 },
	whiteouts: false,
	send: () => undefined,
};
for (let ms = 0; ms <= 200; ms += 8) {
	const stopped = unpackLayers([layer, { ...layer, diffId: digest }], context, AbortSignal.timeout(ms));
	const names = await stopped.then(
		() => 'an end',
		({ name }) => name,
	);
	if (names !== 'TimeoutError') throw new Error(`${ms} ms: ${names}`);
}
console.log('stopped each time');
process.exit(0);
