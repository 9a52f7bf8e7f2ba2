import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { removeTree } from './fs.js';
import { keptProgram } from './programs.js';

/** Debian's registry, which is not ours. */
export interface RealRegistry {
	readonly host: string;
	/** What it was asked until now, each as `METHOD PATH`. It writes that down a moment after it has answered. */
	readonly requests: () => readonly string[];
}

/** Starts one that has nothing, and is ended after the test. */
export async function startRealRegistry(): Promise<RealRegistry> {
	const root = mkdtempSync(join(tmpdir(), 's2oci-registry-'));
	const host = `127.0.0.1:${await freePort()}`;
	const [config, log] = [join(root, 'config.yml'), join(root, 'access.log')];
	const storage = `storage:\n  filesystem:\n    rootdirectory: ${root}/data\n`;
	writeFileSync(config, `version: 0.1\nlog:\n  level: error\n${storage}http:\n  addr: ${host}\n`);
	const stdout = openSync(log, 'a');
	const server = spawn(keptProgram('docker-registry'), ['serve', config], { stdio: ['ignore', stdout, 'ignore'] });
	onTestFinished(async () => {
		const exited = once(server, 'exit');
		server.kill();
		await exited;
		removeTree(root);
	});
	await untilUp(host);
	const requests = () =>
		[...readFileSync(log, 'utf8').matchAll(/"([A-Z]+ \/v2\/\S+) HTTP/g)].map(([, line = '']) => line);
	return { host, requests };
}

async function freePort(): Promise<number> {
	const probe = createServer();
	await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
	const address = probe.address();
	await new Promise((resolve) => probe.close(resolve));
	if (address === null || typeof address === 'string') throw new Error('no port');
	return address.port;
}

async function untilUp(host: string): Promise<void> {
	for (let attempt = 0; attempt < 100; attempt += 1) {
		const up = await fetch(`http://${host}/v2/`).then(
			(response) => response.ok,
			() => false,
		);
		if (up) return;
		await delay(100);
	}
	throw new Error('docker-registry did not start');
}
