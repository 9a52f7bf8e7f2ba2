import { once } from 'node:events';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { startBlobServer } from '../../../src/host/blob-server.js';
import { temporaryDirectory } from '../../support/fs.js';
import { until } from '../../support/host.js';

const signal = new AbortController().signal;

test('a blob is sent to who asks for it', async () => {
	using directory = temporaryDirectory();
	const server = await startBlobServer(
		(name) => Promise.resolve(Readable.from([`of ${name}`])),
		directory.path,
		signal,
	);
	try {
		const socket = connect(server.path);
		socket.write('a name\n');
		expect((await buffer(socket)).toString()).toBe('of a name');
		expect(server.failure()).toBeUndefined();
	} finally {
		server.close();
	}
});

test('a worker that hangs up before its blob was opened is no failure, and the blob is closed', async () => {
	using directory = temporaryDirectory();
	const blob = new Readable({ read: () => undefined });
	const opening = Promise.withResolvers<undefined>();
	const opened = Promise.withResolvers<undefined>();
	const open = async () => {
		opening.resolve(undefined);
		await opened.promise;
		return blob;
	};
	const server = await startBlobServer(open, directory.path, signal);
	try {
		const socket = connect(server.path);
		socket.write('a name\n');
		await opening.promise;
		socket.destroy();
		await once(socket, 'close');
		setTimeout(() => opened.resolve(undefined), 50);
		await until('the blob is closed', () => blob.destroyed, 5000);
		expect(server.failure()).toBeUndefined();
	} finally {
		server.close();
	}
});
