import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { s2oci } from '../support/build.js';
import { removeTree } from '../support/fs.js';
import { listDirectory, makeWorkspace, requirePrograms, requireRoot, type Workspace } from '../support/host.js';
import { tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const run = promisify(execFile);
const PROGRAM = process.env['S2OCI_TEST_PROGRAM'] ?? fileURLToPath(new URL('../../bin/s2oci.js', import.meta.url));

/** A port that was free a moment ago. */
function freePort(): Promise<number> {
	return new Promise((resolve, reject) => {
		const server = createServer();
		server.once('error', reject);
		server.listen(0, '127.0.0.1', () => {
			const address = server.address();
			server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
		});
	});
}

/** The tiny builder at a path in lower case: buildah makes the name of an image of it. */
function baseImage(): string {
	const path = join(tmpdir(), `s2oci-base-${randomBytes(6).toString('hex')}`);
	onTestFinished(() => removeTree(path));
	cpSync(tinyLayout(), path, { recursive: true });
	return `oci:${path}:latest`;
}

/** An environment in which buildah keeps everything in the workspace, needs no runc, and sets no limits above those of this machine. */
function buildahEnvironment(workspace: Workspace): NodeJS.ProcessEnv {
	const storage = join(workspace.root, 'storage');
	mkdirSync(storage);
	const config = join(storage, 'storage.conf');
	writeFileSync(config, `[storage]\ndriver = "vfs"\ngraphroot = "${storage}/root"\nrunroot = "${storage}/run"\n`);
	const limits = join(storage, 'containers.conf');
	writeFileSync(limits, '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n');
	return {
		PATH: process.env['PATH'],
		HOME: workspace.home,
		TMPDIR: workspace.temporary,
		S2OCI_STORE: workspace.store,
		CONTAINERS_STORAGE_CONF: config,
		CONTAINERS_CONF: limits,
		BUILDAH_ISOLATION: 'chroot',
	};
}

describe('s2oci create', () => {
	test('writes a builder image that builds and passes its own test', async (context) => {
		requireRoot(context);
		requirePrograms(context, 'make', 'buildah', 'curl');
		const workspace = makeWorkspace();
		const directory = join(workspace.root, 'my-builder');
		const { status, stdout } = await s2oci(workspace, ['create', 'team/my-builder', directory]);
		expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
		const variables = {
			BUILDER: 'buildah',
			BASE: baseImage(),
			S2OCI: `${process.execPath} ${PROGRAM}`,
			PORT: String(await freePort()),
		};
		const settings = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
		const made = await run('make', ['-C', directory, 'test', ...settings], { env: buildahEnvironment(workspace) });
		expect(made.stdout).toMatch(/\nPASSED\n/);
		expect(listDirectory(join(workspace.store, 'work'))).toEqual([]);
	});

	test('overwrites nothing: it lists what is there, exits with 2 and writes no file', async () => {
		const workspace = makeWorkspace();
		writeFileSync(join(workspace.root, 'Makefile'), 'all:\n');
		const before = listDirectory(workspace.root);
		const { status, stdout, stderr } = await s2oci(workspace, ['create', 'my-builder', workspace.root]);
		expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
		expect(stderr).toBe(
			`error: Makefile of ${workspace.root} would be overwritten\nhint: Choose another directory, or move these files away.\n`,
		);
		expect(listDirectory(workspace.root)).toEqual(before);
	});

	test.each(['my/UPPER', 'oci:layout', 'a b'])('%j is no name for a builder image', async (name) => {
		const workspace = makeWorkspace();
		const { status } = await s2oci(workspace, ['create', name, join(workspace.root, 'new')]);
		expect(status).toBe(2);
		expect(listDirectory(workspace.root)).not.toContain('new');
	});
});
