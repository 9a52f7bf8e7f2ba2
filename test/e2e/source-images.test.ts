import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { build, s2oci } from '../support/build.js';
import { pulled } from '../support/built.js';
import { leftovers, makeWorkspace, requireUser, type UserName, type Workspace } from '../support/host.js';
import { publishImage } from '../support/layers.js';
import type { TestRegistry } from '../support/registry.js';
import { type TarMember, tarDirectory, tarFile, tarSymlink } from '../support/tar.js';
import { assembleSource, makeSource, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const LIBRARY: readonly TarMember[] = [
	tarDirectory('opt'),
	tarDirectory('opt/lib', { uid: 0, mode: 0o700 }),
	tarFile('opt/lib/shop.jar', 'jar 1', { mode: 0o4640, uid: 12, mtime: 1_700_000_000 }),
	tarSymlink('opt/lib/latest', 'shop.jar'),
	tarSymlink('opt/lib/passwd', '/etc/passwd'),
	tarSymlink('opt/way', '/../../opt/lib'),
	{ name: 'opt/lib/pipe', flag: '6' },
	tarFile('opt/only', 'only this'),
];

type Paths = readonly { readonly sourcePath: string; readonly destinationDir: string }[];

/** Writes a BuildConfig that copies `paths` out of `builders/NAME`, one image after the other; returns what a build is told. */
function lineFor(
	{ workspace, registry, source }: { workspace: Workspace; registry: TestRegistry; source: string },
	images: Readonly<Record<string, Paths>>,
	more: object = {},
): readonly string[] {
	const image = (name: string) => ({ kind: 'DockerImage', name: `${registry.host}/${name}` });
	const copied = Object.entries(images).map(([name, paths]) => ({ from: image(`builders/${name}`), paths, as: ['x'] }));
	const spec = {
		source: { binary: {}, images: copied, ...more },
		strategy: { sourceStrategy: { from: image('builders/tiny') } },
		output: { to: image('team/app:1') },
	};
	const file = join(workspace.home, 'app.json');
	const head = { apiVersion: 'build.openshift.io/v1', kind: 'BuildConfig', metadata: { name: 'app' } };
	writeFileSync(file, JSON.stringify({ ...head, spec }));
	return [source, '--build-config', file];
}

async function setUp(source: string, files = LIBRARY, workspace = makeWorkspace()) {
	const registry = await tinyRegistry();
	publishImage(registry, 'library', { files });
	return { workspace, registry, source };
}

const ALL: Paths = [
	{ sourcePath: '/opt/lib', destinationDir: '.' },
	{ sourcePath: '/opt/lib/.', destinationDir: 'flat/deep' },
	{ sourcePath: '/opt/way/latest', destinationDir: 'dev' },
	{ sourcePath: '/opt/only', destinationDir: './greeting/' },
];
const LOOK = `
	cd /tmp/src
	stat -c '%n %a %u %Y' lib lib/shop.jar flat/deep/shop.jar dev/latest | sed "s/ $(id -u) / me /" > "$HOME/seen"
	for each in lib/latest flat/deep/passwd; do readlink $each; done >> "$HOME/seen"
	cat greeting/only >> "$HOME/seen"
	ls lib/pipe 2>/dev/null && exit 3
	ls -A > "$HOME/top"
	rm -rf lib flat
`;

describe.each<UserName>(['root', 's2oci-subuid', 's2oci-plain'])('source.images, by %s', (name) => {
	test('copies files of an image into the source, alike on an overlay and a copy', async (context) => {
		const scene = await setUp(assembleSource(LOOK), LIBRARY, makeWorkspace(requireUser(context, name)));
		const line = lineFor(scene, { library: ALL });
		const { stderr, result } = await build(scene.workspace, line);
		expect(stderr).toContain('spec.source.images[0].as is ignored');
		expect(stderr).toContain('lib/pipe is not copied into the source');
		const { entries } = await pulled(scene.registry, 'team/app', '1');
		const text = (path: string) => entries.get(`opt/app-root/src/${path}`)?.content;
		expect(text('seen')).toMatchInlineSnapshot(`
			"lib 700 me 0
			lib/shop.jar 640 me 1700000000
			flat/deep/shop.jar 640 me 1700000000
			dev/latest 640 me 1700000000
			shop.jar
			/etc/passwd
			only this"
		`);
		expect(text('top')).toBe('.s2i\ndev\nflat\ngreeting\ngreeting.txt\nlib\n');
		expect([...entries.keys()].filter((path) => /shop.jar|opt\/lib/.test(path))).toEqual([]);
		const again = await build(scene.workspace, [...line, '--rootfs', 'copy']);
		expect(again.result.digest).toBe(result.digest);
		expect(await leftovers(scene.workspace)).toEqual([]);
	});
});

test('what is copied counts as source: scripts, environment, and what a later image has', async () => {
	const scene = await setUp(assembleSource('exit 9'), [
		tarDirectory('s2i'),
		tarDirectory('s2i/bin'),
		tarFile('s2i/bin/assemble', '#!/bin/sh\necho copied > made\n', { mode: 0o755 }),
		tarFile('s2i/environment', 'TINY_COLOUR=blue\n'),
	]);
	publishImage(scene.registry, 'second', { files: [tarFile('environment', 'TINY_COLOUR=green\n')] });
	const images = {
		library: [{ sourcePath: '/s2i/.', destinationDir: '.s2i' }],
		second: [{ sourcePath: '/environment', destinationDir: '.s2i' }],
	};
	await build(scene.workspace, [...lineFor(scene, images), '--check-reproducible']);
	const { config, entries } = await pulled(scene.registry, 'team/app', '1');
	expect(entries.get('opt/app-root/src/made')?.content).toBe('copied\n');
	expect(config.config.Env).toContain('TINY_COLOUR=green');
});

test('an unchanged build knows its images by their digests, and its paths', async () => {
	const scene = await setUp(assembleSource('cp -r /tmp/src/lib . && cat /proc/sys/kernel/random/uuid > id'));
	const run = async (paths: Paths) => {
		const line = lineFor(scene, { library: paths });
		return (await build(scene.workspace, line, { mayReuse: true })).result;
	};
	const paths: Paths = [{ sourcePath: '/opt/lib', destinationDir: '.' }];
	const first = await run(paths);
	expect(await run(paths)).toMatchObject({ reused: true, digest: first.digest });
	expect((await run([...paths, { sourcePath: '/opt/only', destinationDir: '.' }])).reused).toBeUndefined();
	publishImage(scene.registry, 'library', { files: [tarDirectory('opt'), tarDirectory('opt/lib')] });
	expect((await run(paths)).reused).toBeUndefined();
});

test('where a context directory is built, destinations begin above it, and what is beside it is named', async () => {
	const source = makeSource({
		'web/.s2i/bin/assemble': '#!/bin/sh\nset -eu\n[ ! -e ../beside ] && cp /tmp/src/lib/only .\n',
		README: '',
	});
	const scene = await setUp(source);
	const paths: Paths = ['web/lib', 'beside'].map((destinationDir) => ({ sourcePath: '/opt/only', destinationDir }));
	const { stderr } = await build(scene.workspace, lineFor(scene, { library: paths }, { contextDir: 'web' }));
	expect(stderr).toContain('spec.source.images[0].paths[1] is not copied: its destinationDir is outside');
	const { entries } = await pulled(scene.registry, 'team/app', '1');
	expect(entries.get('opt/app-root/src/only')?.content).toBe('only this');
});

describe('nothing runs', () => {
	const at = (sourcePath: string, destinationDir: string): Paths => [{ sourcePath, destinationDir }];
	test.each<[string, Paths, string, number, string]>([
		['a path that is not there', at('/opt/absent', '.'), 'SOURCE_NOT_FOUND', 5, 'has no "/opt/absent" to copy'],
		['a file whose contents are wanted', at('/opt/only/.', '.'), 'SOURCE_NOT_FOUND', 5, 'has no "/opt/only/."'],
		['a link of the source', at('/opt/lib', 'out'), 'SOURCE_INVALID', 5, 'its "out" is a link'],
		['a link of the source further down', at('/opt', '.'), 'SOURCE_INVALID', 5, 'its "opt/lib" is a link'],
		['a file of the source', at('/opt/lib', 'greeting.txt'), 'SOURCE_INVALID', 5, 'its "greeting.txt" is no directory'],
		['a directory of the source', at('/opt/only', '.'), 'SOURCE_INVALID', 5, 'its "only" is a directory'],
		['a way out', at('/opt/only', '../x'), 'USAGE', 2, 'paths[0].destinationDir leads out of the source'],
		['an absolute destination', at('/opt/only', '/x'), 'USAGE', 2, 'paths[0].destinationDir leads out of the source'],
		['a relative path', at('opt/only', '.'), 'USAGE', 2, 'paths[0].sourcePath is no absolute path'],
	])('for %s', async (_what, paths, code, status, message) => {
		const scene = await setUp(assembleSource('echo assemble-ran', { 'only/x': '', 'opt/y': '' }));
		const outside = join(scene.workspace.home, 'outside');
		mkdirSync(outside);
		symlinkSync(outside, join(scene.source, 'out'));
		symlinkSync(outside, join(scene.source, 'opt/lib'));
		const line = ['build', ...lineFor(scene, { library: paths }), '--keep-symlinks', '--copy'];
		const failed = await s2oci(scene.workspace, line);
		expect(failed.stderr).toContain(message);
		expect(failed.stderr).not.toContain('assemble-ran');
		expect(failed.status).toBe(status);
		if (code !== 'USAGE') expect(failed.result?.error?.code).toBe(code);
		expect(readdirSync(outside)).toEqual([]);
		expect(await leftovers(scene.workspace)).toEqual([]);
	});

	test('in place, where there is one root filesystem', async () => {
		const scene = await setUp(assembleSource('echo assemble-ran'));
		const line = ['build', ...lineFor(scene, { library: at('/opt/only', '.') }), '--rootfs', 'in-place'];
		const { status, stderr } = await s2oci(scene.workspace, [...line, '--isolation', 'none']);
		expect(stderr).toContain('an image as a source cannot be used in place');
		expect(stderr).not.toContain('assemble-ran');
		expect(status).toBe(4);
	});
});
