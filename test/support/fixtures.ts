import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { onTestFinished } from 'vitest';
import { type ImageParts, publishImage } from './layers.js';
import type { TestRegistry } from './registry.js';
import { type TarMember, tarDirectory, tarFile } from './tar.js';
import { tinyParts } from './tiny.js';

/** The scripts of the fake builder images, on this host. */
export const FAKE_SCRIPTS: string = fileURLToPath(new URL('../../testdata/builders/fake/s2i', import.meta.url));

const SCRIPTS_URL = 'io.openshift.s2i.scripts-url';
const ASSEMBLE_USER = 'io.openshift.s2i.assemble-user';
const WORKING_DIR = '/opt/app-root/src';
const ON_BUILD = ['RUN mkdir -p /sti-fake/src && touch /sti-fake/src/onbuild', 'COPY . /tmp/src/'];
/** A label that names the scripts in the image; the slash at its end is of S2I's own fixture. */
const IN_IMAGE = { [SCRIPTS_URL]: 'image:///tmp/scripts/' };

/** What a fixture has more than busybox; every field has a default. */
interface Fixture {
	/** Uid that owns /sti-fake and the working directory. */
	readonly owner?: number;
	readonly config?: ImageParts['config'];
	readonly files?: readonly TarMember[];
	/** Whether the label names the scripts that the test serves. */
	readonly served?: boolean;
}

/** A builder image of S2I's own tests (test/integration/images of source-to-image). */
export type FixtureName =
	| 'sti-fake'
	| 'sti-fake-env'
	| 'sti-fake-user'
	| 'sti-fake-numericuser'
	| 'sti-fake-scripts'
	| 'sti-fake-scripts-no-save-artifacts'
	| 'sti-fake-no-tar'
	| 'sti-fake-onbuild'
	| 'sti-fake-onbuild-rootuser'
	| 'sti-fake-onbuild-numericuser'
	| 'sti-fake-assemble-root'
	| 'sti-fake-assemble-user';

const FIXTURES: Readonly<Record<FixtureName, Fixture>> = {
	'sti-fake': { served: true },
	'sti-fake-env': { config: { WorkingDir: '/' } },
	'sti-fake-user': { served: true, owner: 431, config: { User: 'fakeuser' } },
	'sti-fake-numericuser': { served: true, owner: 431, config: { User: '431' } },
	'sti-fake-scripts': { config: { Labels: IN_IMAGE }, files: scriptFiles() },
	'sti-fake-scripts-no-save-artifacts': {
		config: { Labels: IN_IMAGE },
		files: scriptFiles().filter(({ name }) => !name.endsWith('save-artifacts')),
	},
	'sti-fake-no-tar': { files: [tarFile('bin/.wh.tar')] },
	'sti-fake-onbuild': { config: { OnBuild: ON_BUILD } },
	'sti-fake-onbuild-rootuser': {
		owner: 431,
		config: { User: '431', OnBuild: [...ON_BUILD, 'USER 0'] },
	},
	'sti-fake-onbuild-numericuser': {
		owner: 1001,
		config: { User: '1001', OnBuild: [...ON_BUILD, 'USER 1001'] },
	},
	'sti-fake-assemble-root': { served: true, owner: 431, config: { User: '431', Labels: { [ASSEMBLE_USER]: '0' } } },
	'sti-fake-assemble-user': { served: true, owner: 431, config: { User: '431', Labels: { [ASSEMBLE_USER]: '431' } } },
};

/** Puts the fixture `name` into `registry`, its scripts at `scriptsUrl` when its label names any; returns its reference. */
export function publishFixture(registry: TestRegistry, name: FixtureName, scriptsUrl?: string): string {
	const { owner = 0, config, files = [], served } = FIXTURES[name];
	const env = ['PATH=/bin:/usr/bin', ...(name === 'sti-fake-env' ? [`STI_SCRIPTS_URL=${scriptsUrl ?? ''}`] : [])];
	const labels = { ...(served && scriptsUrl !== undefined && { [SCRIPTS_URL]: scriptsUrl }), ...config?.Labels };
	return publishImage(registry, name, {
		tars: tinyParts().tars.slice(0, 1),
		files: [...commonFiles(owner), ...files],
		config: { User: '', Cmd: undefined, WorkingDir: WORKING_DIR, Env: env, ...config, Labels: labels },
	});
}

function commonFiles(uid: number): readonly TarMember[] {
	return [
		tarFile('etc/passwd', 'root:x:0:0:root:/:/bin/sh\nfakeuser:x:431:431:fake:/home/fakeuser:/bin/sh\n'),
		tarFile('etc/group', 'root:x:0:\nfakeuser:x:431:\n'),
		...['opt', 'opt/app-root'].map((name) => tarDirectory(name)),
		tarDirectory('opt/app-root/src', { uid }),
		tarDirectory('sti-fake', { uid }),
	];
}

function scriptFiles(): readonly TarMember[] {
	const scripts = readdirSync(FAKE_SCRIPTS).sort();
	const file = (name: string): TarMember =>
		tarFile(`tmp/scripts/${name}`, readFileSync(join(FAKE_SCRIPTS, name)), { mode: 0o755 });
	return [tarDirectory('tmp', { mode: 0o1777 }), tarDirectory('tmp/scripts'), ...scripts.map(file)];
}

/** Serves the fake scripts until the test ends, at the URL it returns. */
export async function serveFakeScripts(): Promise<string> {
	const server = createServer((request, response) => {
		const name = basename(request.url ?? '');
		const known = request.url === `/.s2i/bin/${name}` && readdirSync(FAKE_SCRIPTS).includes(name);
		response.writeHead(known ? 200 : 404).end(known ? readFileSync(join(FAKE_SCRIPTS, name)) : '');
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	onTestFinished(() => {
		server.closeAllConnections();
		server.close();
	});
	return `http://127.0.0.1:${(server.address() as AddressInfo).port}/.s2i/bin`;
}

const ZIP_ENTRY = 30;
const ZIP_CENTRAL = 46;
/** 1 January 1980, the first day that a zip archive can name. */
const ZIP_DATE = 0x21;

/** A zip archive of `files`, stored without compression; a Python wheel is one (APPNOTE 4.3). */
export function zipOf(files: Readonly<Record<string, string>>): Buffer {
	const [local, central]: [Buffer[], Buffer[]] = [[], []];
	let offset = 0;
	for (const [path, text] of Object.entries(files)) {
		const [name, body] = [Buffer.from(path), Buffer.from(text)];
		const entry = Buffer.concat([zipHeader(ZIP_ENTRY, 0x04034b50, 4, name, body), name, body]);
		const header = zipHeader(ZIP_CENTRAL, 0x02014b50, 6, name, body);
		header.writeUInt16LE(10, 4);
		header.writeUInt32LE(offset, 42);
		local.push(entry);
		central.push(header, name);
		offset += entry.length;
	}
	const end = Buffer.alloc(22);
	const [count, directory] = [local.length, Buffer.concat(central)];
	end.writeUInt32LE(0x06054b50, 0);
	for (const at of [8, 10]) end.writeUInt16LE(count, at);
	end.writeUInt32LE(directory.length, 12);
	end.writeUInt32LE(offset, 16);
	return Buffer.concat([...local, directory, end]);
}

/** What local and central headers have in common, from `at` on. */
function zipHeader(length: number, magic: number, at: number, name: Buffer, body: Buffer): Buffer {
	const header = Buffer.alloc(length);
	header.writeUInt32LE(magic, 0);
	header.writeUInt16LE(10, at);
	header.writeUInt16LE(ZIP_DATE, at + 8);
	header.writeUInt32LE(crc32(body), at + 10);
	header.writeUInt32LE(body.length, at + 14);
	header.writeUInt32LE(body.length, at + 18);
	header.writeUInt16LE(name.length, at + 22);
	return header;
}
