import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { freePort } from './free-port.js';
import { removeTree } from './fs.js';
import { keptProgram } from './programs.js';

/** Debian's registry, which is not ours. */
export interface RealRegistry {
	readonly host: string;
	/** What it was asked until now, each as `METHOD PATH`. It writes that down a moment after it has answered. */
	readonly requests: () => readonly string[];
}

/** The one user of a registry with a login, and what htpasswd(1) makes of the password. */
const LOGIN = {
	name: 'ci',
	password: 'pass word',
	hash: '$2y$05$abcdefghijklmnopqrstuuIt/9/tGzLcigNq/.RWIDjeEVR30RSf.',
};

/** What a registry with a login wants, as the text of a config.json. */
export function loginFor(host: string): string {
	return JSON.stringify({
		auths: { [host]: { auth: Buffer.from(`${LOGIN.name}:${LOGIN.password}`).toString('base64') } },
	});
}

/** Starts one that has nothing, and is ended after the test; `login` is whether it wants one. */
export async function startRealRegistry({ login = false } = {}): Promise<RealRegistry> {
	const registry = await openRealRegistry({ login });
	onTestFinished(registry.close);
	return registry;
}

/** The same, until it is closed. */
export async function openRealRegistry({
	login = false,
} = {}): Promise<RealRegistry & { readonly close: () => Promise<void> }> {
	const root = mkdtempSync(join(tmpdir(), 's2oci-registry-'));
	const host = `127.0.0.1:${await freePort()}`;
	const [config, log, users] = [join(root, 'config.yml'), join(root, 'access.log'), join(root, 'users')];
	writeFileSync(users, `${LOGIN.name}:${LOGIN.hash}\n`);
	const auth = login ? `auth:\n  htpasswd:\n    realm: test\n    path: ${users}\n` : '';
	const storage = `storage:\n  filesystem:\n    rootdirectory: ${root}/data\n`;
	writeFileSync(config, `version: 0.1\nlog:\n  level: error\n${storage}${auth}http:\n  addr: ${host}\n`);
	const stdout = openSync(log, 'a');
	const server = spawn(keptProgram('docker-registry'), ['serve', config], { stdio: ['ignore', stdout, 'ignore'] });
	const close = async () => {
		const exited = once(server, 'exit');
		server.kill();
		await exited;
		removeTree(root);
	};
	await untilUp(host);
	const requests = () =>
		[...readFileSync(log, 'utf8').matchAll(/"([A-Z]+ \/v2\/\S+) HTTP/g)].map(([, line = '']) => line);
	return { host, requests, close };
}

async function untilUp(host: string): Promise<void> {
	for (let attempt = 0; attempt < 100; attempt += 1) {
		const up = await fetch(`http://${host}/v2/`).then(
			({ status }) => status === 200 || status === 401,
			() => false,
		);
		if (up) return;
		await delay(100);
	}
	throw new Error('docker-registry did not start');
}
