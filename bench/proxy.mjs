// The network between the tools and the registry: a TCP proxy that delays and limits. Run as a program, it prints where it listens.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { atEnd } from './cleanup.mjs';

/** What may be on its way in one direction of a connection, as with the largest windows of TCP on Linux. */
const WINDOW_BYTES = 6 << 20;

/** `{ host, close }`: `host` itself without a link, else a proxy in a process of its own. */
export async function openLink(host, link) {
	if (link === undefined) return { host, close() {} };
	const { latency, bandwidth = 0 } = link;
	const words = [fileURLToPath(import.meta.url), host, String(latency), String(bandwidth)];
	const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
	const close = atEnd(() => child.kill());
	const [line] = await once(child.stdout.setEncoding('utf8'), 'data');
	return { host: line.trim(), close };
}

/** `latency`: of a round trip, in ms. `bandwidth`: of each direction, all connections together, in MB/s; 0 is no limit. */
function serve(host, latency, bandwidth) {
	const [name, port] = host.split(':');
	const [up, down] = [openDirection(latency / 2, bandwidth), openDirection(latency / 2, bandwidth)];
	const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
		const target = connect({ host: name, port: Number(port), allowHalfOpen: true, noDelay: true });
		for (const socket of [client, target]) {
			socket.on('error', () => {
				client.destroy();
				target.destroy();
			});
		}
		// The handshake, which loopback does at once, takes a round trip before the first byte.
		up(client, target, latency);
		down(target, client, 0);
	});
	server.listen(0, '127.0.0.1', () => process.stdout.write(`127.0.0.1:${server.address().port}\n`));
}

/** A function that moves bytes from one socket to another, each no sooner than the delay and the limit say. */
function openDirection(delay, bandwidth) {
	let free = 0;
	return (from, to, first) => {
		const opened = performance.now() + first;
		let waiting = 0;
		const due = (length) => {
			const start = Math.max(performance.now(), opened, free);
			if (bandwidth > 0) free = start + length / (1000 * bandwidth);
			return (bandwidth > 0 ? free : start) + delay;
		};
		const queue = openQueue();
		from.on('data', (chunk) => {
			waiting += chunk.length;
			if (waiting > WINDOW_BYTES) from.pause();
			queue(due(chunk.length), () => {
				to.write(chunk);
				waiting -= chunk.length;
				if (waiting <= WINDOW_BYTES) from.resume();
			});
		});
		from.on('end', () => queue(due(0), () => to.end()));
	};
}

/** Calls functions in order, none before its time. */
function openQueue() {
	const queue = [];
	let isWaiting = false;
	const flush = () => {
		isWaiting = false;
		while (queue.length > 0 && queue[0].at <= performance.now()) queue.shift().act();
		wait();
	};
	const wait = () => {
		if (isWaiting || queue.length === 0) return;
		isWaiting = true;
		setTimeout(flush, Math.max(0, queue[0].at - performance.now()));
	};
	return (at, act) => {
		queue.push({ at, act });
		wait();
	};
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const [host, latency, bandwidth] = process.argv.slice(2);
	serve(host, Number(latency), Number(bandwidth));
}
