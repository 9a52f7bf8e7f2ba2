import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { build } from '../support/build.js';
import type { ConfigJson, ManifestJson } from '../support/built.js';
import { removeTree } from '../support/fs.js';
import { makeWorkspace, requirePrograms, type Workspace } from '../support/host.js';
import { assembleSource, readLayout, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const SCRIPT = `
cp /tmp/src/greeting.txt ./
echo '#!/bin/sh' > tool && chmod 750 tool
mkdir -m 2770 private
ln -s greeting.txt link
ln tool hard
rm /usr/share/tiny/removed-by-assemble`;

/** A registry that is not ours, and the image `team/app:1` in it. */
async function builtInRegistry(workspace: Workspace): Promise<string> {
	const program = fileURLToPath(new URL('../../scripts/registry', import.meta.url));
	const directory = join(workspace.root, 'registry');
	const host = execFileSync(program, ['start', '--dir', directory], { encoding: 'utf8' }).trim();
	onTestFinished(() => void execFileSync(program, ['stop', '--dir', directory]));
	run('skopeo', 'copy', '-q', '--dest-tls-verify=false', `oci:${tinyLayout()}:latest`, `docker://${host}/tiny`);
	await build(workspace, [assembleSource(SCRIPT), `${host}/tiny`, `${host}/team/app:1`, '-e', 'GREETING=hello']);
	return `${host}/team/app:1`;
}

function run(program: string, ...args: readonly string[]): string {
	return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

describe('a built image in a real registry', () => {
	test('is what skopeo expects: one layer more, the base unchanged, config as S2I makes it', async (context) => {
		requirePrograms(context, 'skopeo');
		const image = await builtInRegistry(makeWorkspace());
		const inspect = (...args: readonly string[]) =>
			JSON.parse(run('skopeo', 'inspect', '--tls-verify=false', ...args, `docker://${image}`)) as unknown;
		const manifest = inspect('--raw') as ManifestJson;
		const config = inspect('--config') as ConfigJson;
		const base = readLayout(tinyLayout());
		const baseManifest = JSON.parse(Buffer.from(base.manifest).toString()) as ManifestJson;
		const baseConfig = JSON.parse(
			Buffer.from(base.blobs.get(baseManifest.config.digest) ?? []).toString(),
		) as ConfigJson;
		expect(manifest.layers.slice(0, -1)).toEqual(baseManifest.layers);
		expect(config.rootfs.diff_ids.slice(0, -1)).toEqual(baseConfig.rootfs.diff_ids);
		expect(config.history).toHaveLength(baseConfig.history.length + 1);
		expect(config.config).toMatchObject({
			Cmd: ['/usr/libexec/s2i/run'],
			User: '1001',
			WorkingDir: '/opt/app-root/src',
			Labels: { 'io.openshift.s2i.build.image': expect.stringContaining('/tiny') as string },
		});
		expect(config.config.Env).toEqual([...baseConfig.config.Env, 'GREETING=hello']);
		expect(config.config.Entrypoint ?? []).toEqual([]);
	});

	test('is copied by skopeo and unpacked by umoci, with modes kept and deletions applied', async (context) => {
		requirePrograms(context, 'skopeo', 'umoci');
		const workspace = makeWorkspace();
		const image = await builtInRegistry(workspace);
		const [layout, bundle] = [join(workspace.root, 'copy'), join(workspace.root, 'bundle')];
		run('skopeo', 'copy', '-q', '--src-tls-verify=false', `docker://${image}`, `oci:${layout}:1`);
		run('umoci', 'unpack', '--rootless', '--image', `${layout}:1`, bundle);
		const at = (path: string) => join(bundle, 'rootfs', path);
		const home = 'opt/app-root/src';
		expect(readFileSync(at(`${home}/greeting.txt`), 'utf8')).toBe('hello\n');
		expect(lstatSync(at(`${home}/tool`)).mode & 0o7777).toBe(0o750);
		expect(lstatSync(at(`${home}/private`)).mode & 0o7777).toBe(0o2770);
		expect(lstatSync(at(`${home}/link`)).isSymbolicLink()).toBe(true);
		expect(lstatSync(at(`${home}/hard`)).ino).toBe(lstatSync(at(`${home}/tool`)).ino);
		expect(existsSync(at('usr/share/tiny/removed-by-assemble'))).toBe(false);
		expect(existsSync(at('etc/motd'))).toBe(false);
		expect(existsSync(at('tmp/src'))).toBe(false);
		expect(existsSync(at('etc/passwd'))).toBe(true);
	});

	test.each(['podman', 'buildah'])('is pulled by %s', async (program) => {
		const workspace = makeWorkspace();
		const image = await builtInRegistry(workspace);
		const storage = join(workspace.root, 'containers');
		mkdirSync(storage);
		onTestFinished(() => removeTree(storage));
		// podman takes no more than 50 characters here.
		const runroot = join(workspace.root, 'run');
		const options = ['--root', join(storage, 'root'), '--runroot', runroot, '--storage-driver', 'vfs'];
		const id = run(program, ...options, 'pull', '-q', '--tls-verify=false', image).trim();
		expect(id).toMatch(/^[0-9a-f]{64}$/);
		const [inspected] = [JSON.parse(run(program, ...options, 'inspect', '--type', 'image', image)) as unknown].flat();
		expect(JSON.stringify(inspected)).toContain('/usr/libexec/s2i/run');
	});
});
