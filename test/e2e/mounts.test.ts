import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { build, s2oci } from '../support/build.js';
import { type BuiltImage, decoded } from '../support/built.js';
import { leftovers, makeWorkspace, requireUser, type UserName, type Workspace } from '../support/host.js';
import { assembleSource, readLayout, TINY_APP, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const CANARY = 'canary-71e4';

/** Files of the host that belong to the user who builds, with those of a secret volume of Kubernetes among them. */
function hostFiles(workspace: Workspace): string {
	const host = join(workspace.home, 'host');
	mkdirSync(join(host, 'secret', '..2024'), { recursive: true });
	writeFileSync(join(host, 'secret', '..2024', 'token'), CANARY);
	chmodSync(join(host, 'secret', '..2024', 'token'), 0o400);
	symlinkSync('..2024', join(host, 'secret', '..data'));
	symlinkSync('..data/token', join(host, 'secret', 'token'));
	mkdirSync(join(host, 'volume'));
	writeFileSync(join(host, 'tool'), '#!/bin/sh\necho tool ran\n');
	chmodSync(join(host, 'tool'), 0o755);
	const { user } = workspace;
	const names = ['', 'secret', 'secret/..2024', 'secret/..2024/token', 'volume', 'tool'];
	if (user !== undefined) for (const name of names) chownSync(join(host, name), user.uid, user.gid);
	chmodSync(join(host, 'volume'), 0o777);
	return host;
}

/** Builds with `options`; returns what assemble printed, everything that was told, and the image. */
async function built(workspace: Workspace, script: string, options: readonly string[], env = {}) {
	const output = join(workspace.home, 'image');
	const args = [assembleSource(script), `oci:${tinyLayout()}:latest`, '--output', `oci:${output}:latest`, ...options];
	const { stderr, stdout, result } = await build(workspace, args, { env });
	expect(await leftovers(workspace)).toEqual([]);
	const image = await decoded(readLayout(output, 'latest'));
	return { said: stdout + stderr, told: stdout + stderr + JSON.stringify(result), image };
}

/** The names of a layer without those of the scripts that the source brought. */
function names({ entries }: BuiltImage): readonly string[] {
	return [...entries.keys()].filter((name) => !/^tmp(\/scripts(\/|$)|$)/.test(name));
}

describe.each<UserName>(['root', 's2oci-subuid', 's2oci-plain'])(
	'what the host shows to assemble, built by %s',
	(name) => {
		test('is there with its modes, and leaves nothing in the image', async (context) => {
			const workspace = makeWorkspace(requireUser(context, name));
			const host = hostFiles(workspace);
			const script = `
			is_secret() { case $(cat "$1") in canary-*) echo "$2" ;; esac; }
			is_secret token relative-secret-delivered
			is_secret /tmp/token secret-delivered
			is_secret keys/token keys-delivered && readlink keys/token
			is_secret /run/secrets/file file-delivered
			is_secret /run/secrets/variable variable-delivered
			./tool
			echo x 2>/dev/null > keys/new || echo read-only
			mv /tmp/src/greeting.txt ./
			echo cached > /var/cache/deep/volume/file
			cat /data/file; echo x 2>/dev/null > /data/file || echo read-only volume`;
			const options = [
				...['--inject', `${host}/secret`, '--inject', `${host}/secret:/tmp`, '--inject', `${host}/secret:keys`],
				...['--inject', `${host}/tool`],
				...['--volume', `${host}/volume:/var/cache/deep/volume`, '--volume', `${host}/volume:/data:ro`],
				...['--secret', `id=file,src=${host}/secret/token`, '--secret', 'id=variable,env=SECRET'],
			];
			const { said, told, image } = await built(workspace, script, options, { SECRET: CANARY });
			for (const line of [
				'relative-secret-delivered',
				'secret-delivered',
				'..data/token',
				'keys-delivered',
				'file-delivered',
				'variable-delivered',
				'tool ran',
				'read-only',
				'cached',
				'read-only volume',
			]) {
				expect(said).toContain(line);
			}
			expect(readFileSync(join(host, 'volume', 'file'), 'utf8')).toBe('cached\n');
			expect(told).not.toContain(CANARY);
			expect(JSON.stringify([...image.entries, image.config, image.manifest])).not.toContain(CANARY);
			expect(names(image)).toEqual(['opt', 'opt/app-root', 'opt/app-root/src', 'opt/app-root/src/greeting.txt']);
		});
	},
);

describe('a previous image that puts a link in place of what assemble is to be shown', () => {
	test.each([
		['a volume in a volume', (volume: string) => ['--volume', `${volume}/sub:/sub`]],
		['an injection in a volume', (volume: string) => ['--inject', `${volume}/sub/key:/opt/key`]],
	])('leads the build nowhere: %s', async (_name, options) => {
		const workspace = makeWorkspace();
		const [host, target] = [hostFiles(workspace), `oci:${join(workspace.home, 'image')}:latest`];
		const volume = join(host, 'volume');
		mkdirSync(join(volume, 'sub'));
		writeFileSync(join(volume, 'sub/key'), 'harmless');
		writeFileSync(join(host, 'secret/key'), CANARY);
		for (const path of [join(volume, 'sub'), join(host, 'secret')]) chmodSync(path, 0o777);
		const source = assembleSource('cat /sub/key /opt/key 2>/dev/null || :; echo x 2>/dev/null > /sub/new || :', {
			'.s2i/bin/save-artifacts': `#!/bin/sh\nmv /data/sub /data/old && ln -s ${host}/secret /data/sub\ncd /tmp && touch a && exec tar -cf - a\n`,
		});
		const mounts = ['--volume', `${volume}:/data`, ...options(volume)];
		const args = ['build', source, `oci:${tinyLayout()}:latest`, target, '--copy', '--incremental', ...mounts];
		expect(await s2oci(workspace, args)).toMatchObject({ status: 0 });
		const { status, stdout, stderr } = await s2oci(workspace, args);
		expect(stderr).toContain('was moved, or replaced');
		expect(status).toBe(2);
		expect(stdout + stderr).not.toContain(CANARY);
		expect(readdirSync(join(host, 'secret')).sort()).toEqual(['..2024', '..data', 'key', 'token']);
		expect(readdirSync(volume).sort()).toEqual(['old', 'sub']);
		expect(await leftovers(workspace)).toEqual([]);
	});
});

describe('a destination or source that cannot be', () => {
	test.each([
		['--inject', `${TINY_APP}/greeting.txt:/bad/dir`, '/bad is no directory'],
		['--inject', '/no/such/file:/bad/dir', '/no/such/file'],
		['--inject', `${TINY_APP}/greeting.txt:/proc/x`, '/proc'],
		['--volume', '/no/such/file:/data', '/no/such/file'],
		['--volume', '/etc:/tmp/src', '/tmp/src'],
		['--secret', 'id=token,env=NO_SUCH_VARIABLE', 'NO_SUCH_VARIABLE is not set'],
	])('ends the build before assemble: %s %s', async (option, value, message) => {
		const workspace = makeWorkspace();
		const args = [assembleSource('echo assemble ran'), `oci:${tinyLayout()}:latest`, option, value];
		const { status, stdout, stderr } = await s2oci(workspace, ['build', ...args]);
		expect(status).toBe(2);
		expect(stderr).toContain(message);
		expect(stdout + stderr).not.toContain('assemble ran');
		expect(await leftovers(workspace)).toEqual([]);
	});
});
