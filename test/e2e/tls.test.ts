import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { build, s2oci } from '../support/build.js';
import { pulled } from '../support/built.js';
import { makeWorkspace, requirePrograms } from '../support/host.js';
import { needs } from '../support/needs.js';
import { assembleSource, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

/** Loopback is trusted without a certificate, so these tests need an address of the network. */
const address = Object.values(networkInterfaces())
	.flat()
	.find((each) => each?.internal === false && each.family === 'IPv4')?.address;
const root = mkdtempSync(join(tmpdir(), 's2oci-tls-'));
const [certificate, key] = [join(root, 'ca.pem'), join(root, 'key.pem')];

beforeAll(() => {
	execFileSync('chmod', ['755', root]);
	const subject = ['-subj', '/CN=canary authority', '-addext', `subjectAltName=IP:${address ?? '127.0.0.1'}`];
	const options = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject];
	execFileSync('openssl', ['req', ...options, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
});

afterAll(() => rmSync(root, { recursive: true }));

/** `plain` behind TLS, on an address that needs a certificate. */
async function encrypted(plain: string): Promise<string> {
	const [host, port] = plain.split(':');
	const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (socket) => {
		const inside = connect(Number(port), host ?? '');
		for (const [from, to] of [
			[socket, inside],
			[inside, socket],
		] as const) {
			from.on('error', () => to.destroy());
			from.pipe(to);
		}
	});
	await new Promise<void>((resolve) => server.listen(0, address, resolve));
	onTestFinished(() => void server.close());
	return `${String(address)}:${(server.address() as AddressInfo).port}`;
}

const SCRIPT = `env > env-of-assemble; cat "$SSL_CERT_FILE" > the-bundle; grep -c BEGIN "$NODE_EXTRA_CA_CERTS"
mv env-of-assemble the-bundle /dev/shm/; cat /dev/shm/*`;

test('a registry with a private authority works with --ca-bundle, which assemble sees and the image does not', async (context) => {
	requirePrograms(context, 'openssl');
	needs(context, address !== undefined, 'there is no network interface but loopback');
	const registry = await tinyRegistry({ location: 'relative' });
	const host = await encrypted(registry.host);
	const args = [assembleSource(SCRIPT), `${host}/builders/tiny`, `${host}/team/app`];
	const proxies = { NO_PROXY: `${address},canary.example`, HTTPS_PROXY: 'http://canary-proxy.example:3128' };
	const { stderr } = await build(makeWorkspace(), [...args, '--ca-bundle', certificate], { env: proxies });
	expect(stderr).toContain(readFileSync(certificate, 'utf8').trim());
	expect(stderr).toMatch(/SSL_CERT_FILE=\/run\/s2oci\/ca-bundle\.crt/);
	expect(stderr).toContain('canary-proxy.example');
	const image = await pulled(registry, 'team/app');
	expect(JSON.stringify(image.config)).not.toMatch(/canary|CERT|PROXY/i);
	expect([...image.entries.keys()]).toEqual(['tmp', 'tmp/scripts', 'tmp/scripts/assemble']);
});

test('SSL_CERT_FILE does the same as --ca-bundle', async (context) => {
	requirePrograms(context, 'openssl');
	needs(context, address !== undefined, 'there is no network interface but loopback');
	const registry = await tinyRegistry({ location: 'relative' });
	const host = await encrypted(registry.host);
	const args = [assembleSource('true'), `${host}/builders/tiny`, `${host}/team/app`];
	await build(makeWorkspace(), args, { env: { SSL_CERT_FILE: certificate } });
	expect(registry.manifests.has('team/app:latest')).toBe(true);
});

test('a registry with a private authority is refused without it, and the hint says what to do', async (context) => {
	requirePrograms(context, 'openssl');
	needs(context, address !== undefined, 'there is no network interface but loopback');
	const host = await encrypted((await tinyRegistry()).host);
	const { status, stderr } = await s2oci(makeWorkspace(), ['build', assembleSource('true'), `${host}/builders/tiny`]);
	expect(status).toBe(3);
	expect(stderr).toMatch(/error: .*certificate[^]*hint: .*--ca-bundle/);
});
