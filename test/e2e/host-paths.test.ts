import {
	chmodSync,
	chownSync,
	cpSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { build, s2oci } from '../support/build.js';
import { decoded } from '../support/built.js';
import { leftovers, makeWorkspace, requireRoot, requireUser } from '../support/host.js';
import { assembleSource, makeSource, readLayout, TINY_APP, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const builder = () => `oci:${tinyLayout()}:latest`;

test('what --use-config stores in the source is never built', async () => {
	const workspace = makeWorkspace();
	const source = join(workspace.root, 'app');
	cpSync(TINY_APP, source, { recursive: true });
	const args = ['.', builder(), `oci:${workspace.root}/image:1`, '--copy', '--use-config'];
	await build(workspace, args, { cwd: source });
	expect(readdirSync(source)).toContain('.s2ifile');
	await build(workspace, args, { cwd: source });
	const { entries } = await decoded(readLayout(`${workspace.root}/image`, '1'));
	expect([...entries.keys()].filter((path) => path.endsWith('.s2ifile'))).toEqual([]);
	expect([...entries.keys()].length).toBeGreaterThan(1);
});

test.for(['/mnt', '/media', '/srv', '/opt'])(
	'a volume may be below %s, and stays as it is',
	async (parent, context) => {
		requireRoot(context);
		const workspace = makeWorkspace();
		const directory = mkdtempSync(join(parent, 's2oci-test-'));
		try {
			writeFileSync(join(directory, 'file'), 'of the host');
			const source = assembleSource('cat /data/file > seen; echo more > /data/made');
			chmodSync(directory, 0o777);
			await build(workspace, [source, builder(), '--volume', `${directory}:/data`]);
			expect(readdirSync(directory).sort()).toEqual(['file', 'made']);
			expect(readFileSync(join(directory, 'file'), 'utf8')).toBe('of the host');
		} finally {
			rmSync(directory, { recursive: true });
		}
	},
);

test('a volume may have a name beyond ASCII, and a file may be injected at one', async () => {
	const workspace = makeWorkspace();
	const volume = join(workspace.root, 'völ');
	const injected = join(workspace.root, 'inject');
	for (const path of [volume, injected]) mkdirSync(path);
	writeFileSync(join(volume, 'a'), 'canary');
	writeFileSync(join(injected, 'schlüssel.txt'), 'canary');
	const source = assembleSource('cat /data/a /opt/app-root/bin/schlüssel.txt | wc -c > count');
	const target = `oci:${workspace.root}/image:1`;
	const mounts = ['--volume', `${volume}:/data`, '--inject', `${injected}:/opt/app-root/bin`];
	await build(workspace, [source, builder(), target, ...mounts]);
	const { entries } = await decoded(readLayout(`${workspace.root}/image`, '1'));
	expect([...entries].filter(([path, { content }]) => path.includes('schl') || content.includes('canary'))).toEqual([]);
	expect(await leftovers(workspace)).toEqual([]);
});

test('a store in a setgid directory hands no group on to the layer', async (context) => {
	requireRoot(context);
	const user = requireUser(context, 's2oci-plain');
	const [plain, setgid] = [makeWorkspace(), makeWorkspace()];
	const shared = join(setgid.root, 'shared');
	mkdirSync(shared);
	chownSync(shared, 0, user?.gid ?? 0);
	chmodSync(shared, 0o2770);
	const args = [assembleSource('echo x > made; mkdir -p deep/er'), builder()];
	const first = await build(plain, args);
	const second = await build(setgid, [...args, '--store', join(shared, 'store')]);
	expect(second.result.layer?.diffId).toBe(first.result.layer?.diffId);
});

test('a build that fails while the worker starts ends', async () => {
	const workspace = makeWorkspace();
	const args = ['build', makeSource({ a: '' }), builder(), '--assemble-user', 'root', '-u', '1-'];
	for (let round = 0; round < 10; round += 1) {
		const { status } = await s2oci(workspace, args, { limitMs: 20_000 });
		expect(status).toBe(3);
	}
	expect(await leftovers(workspace)).toEqual([]);
});
