import { describe, expect, test } from 'vitest';
import { build } from '../support/build.js';
import { type BuiltImage, decoded, pulled } from '../support/built.js';
import { leftovers, makeWorkspace, requireUser, type UserName, type Workspace } from '../support/host.js';
import type { TestRegistry } from '../support/registry.js';
import { tarFile, tarOf, tarSymlink } from '../support/tar.js';
import { makeSource, readLayout, TINY_APP, tinyRegistry, warns, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const HOME = 'opt/app-root/src';

/** A source whose save-artifacts is `script`; its assemble says what it was given. */
function savingSource(script: string | undefined, assemble = ''): string {
	const given =
		'if [ -e /tmp/artifacts ]; then (cd /tmp/artifacts && find . | sort) > given; else echo nothing > given; fi';
	return makeSource({
		'.s2i/bin/assemble': `#!/bin/sh\nset -eu\n${given}\necho "\${S2I_INCREMENTAL:-}" >> given\necho kept > kept\n${assemble}\n`,
		...(script !== undefined && { '.s2i/bin/save-artifacts': `#!/bin/sh\nset -eu\n${script}\n` }),
		'greeting.txt': 'hello\n',
	});
}

/** Builds `team/app` in `workspace`; the second time, it is the previous image. */
function run(workspace: Workspace, registry: TestRegistry, source: string, ...args: readonly string[]) {
	const names = [`${registry.host}/builders/tiny`, `${registry.host}/team/app`];
	return build(workspace, [source, ...names, '--copy', '--incremental', ...args]);
}

const textOf = ({ entries }: BuiltImage, name: string) => entries.get(`${HOME}/${name}`)?.content;
const given = async (registry: TestRegistry) => textOf(await pulled(registry, 'team/app'), 'given');

describe.each<UserName>(['root', 's2oci-subuid', 's2oci-plain'])('an incremental build of %s', (name) => {
	test('finds what the previous image saved, and nothing of it is left behind', async (context) => {
		const [workspace, registry] = [makeWorkspace(requireUser(context, name)), await tinyRegistry()];
		const first = await run(workspace, registry, TINY_APP);
		expect(textOf(await pulled(registry, 'team/app'), 'save-artifacts-invoked')).toBeUndefined();
		expect(warns(first.stderr)).toBe(false);
		const second = await run(workspace, registry, TINY_APP);
		const image = await pulled(registry, 'team/app');
		expect(textOf(image, 'save-artifacts-invoked')).toBe('restored\n');
		expect(image.entries.get(`${HOME}/kept`)?.header).toMatchObject({ uid: 1001, gid: 0 });
		expect([...image.entries.keys()].filter((path) => /^tmp(\/|$)/.test(path))).toEqual([]);
		expect(warns(second.stderr)).toBe(false);
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('keeps links, modes and directories of artifacts, which the assemble user may move', async (context) => {
		const [workspace, registry] = [makeWorkspace(requireUser(context, name)), await tinyRegistry()];
		const make =
			'mkdir -p m/.bin m/empty && echo x > m/a && ln m/a m/b && ln -s ../a m/.bin/a && ln -s /bin/sh m/abs && chmod 640 m/a';
		const move = 'if [ -d /tmp/artifacts/m ]; then mv /tmp/artifacts/m moved; else mkdir m; fi';
		const source = savingSource('cd /opt/app-root/src && exec tar -cf - m', `${move}; rm -rf m; ${make}`);
		await run(workspace, registry, source);
		await run(workspace, registry, source);
		const { entries } = await pulled(registry, 'team/app');
		const at = (path: string) => entries.get(`${HOME}/moved/${path}`)?.header;
		expect(at('a')).toMatchObject({ type: 'file', mode: 0o640, uid: 1001 });
		expect(at('b')).toMatchObject({ type: 'link', linkname: `${HOME}/moved/a` });
		expect(at('.bin/a')).toMatchObject({ type: 'symlink', linkname: '../a' });
		expect(at('abs')).toMatchObject({ type: 'symlink', linkname: '/bin/sh' });
		expect(at('empty')).toMatchObject({ type: 'directory' });
	});
});

describe('an incremental build', () => {
	const saveKept = 'cd /opt/app-root/src && exec tar -cf - kept';

	test('tells assemble that it is one', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		await run(workspace, registry, savingSource(saveKept));
		expect(await given(registry)).toBe('nothing\n\n');
		await run(workspace, registry, savingSource(saveKept));
		expect(await given(registry)).toBe('.\n./kept\ntrue\n');
	});

	test.each([
		['fails', 'echo broken >&2; exit 7', /save-artifacts.*ended with status 7.*broken/s],
		['prints text before the archive', `echo Saving...; ${saveKept}`, /begin with text: \\?"Saving\.\.\./],
		['archives half of it', 'cd /opt/app-root/src && tar -cf - kept | head -c 600', /cannot be used/],
	])('is a clean one, with a warning, when save-artifacts %s', async (_what, script, warning) => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		await run(workspace, registry, savingSource(script));
		const { stderr } = await run(workspace, registry, savingSource(script));
		expect(stderr).toMatch(warning);
		expect(stderr).toContain('a clean build is made');
		expect(await given(registry)).toBe('nothing\n\n');
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('keeps artifacts that text follows, and tells of it', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		const source = savingSource('cd /opt/app-root/src && tar -cf - kept; echo Done.');
		await run(workspace, registry, source);
		expect((await run(workspace, registry, source)).stderr).toContain('Done.');
		expect(await given(registry)).toBe('.\n./kept\ntrue\n');
	});

	test('is a clean one, without a word, when nothing is saved', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		await run(workspace, registry, savingSource('exit 0'));
		expect(warns((await run(workspace, registry, savingSource('exit 0'))).stderr)).toBe(false);
		expect(await given(registry)).toBe('nothing\n\n');
	});

	test('runs a new save-artifacts of the source at once, in the previous image', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		await run(workspace, registry, savingSource(undefined));
		await run(workspace, registry, savingSource('cd /opt/app-root/src && exec tar -cf - given kept'));
		expect(await given(registry)).toBe('.\n./given\n./kept\ntrue\n');
	});

	test('into a layout takes the image that has the same name there, and needs none the first time', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		const target = `oci:${workspace.root}/images`;
		const args = [savingSource(saveKept), `${registry.host}/builders/tiny`];
		const runs = [];
		for (const tag of ['a', 'b', 'b'])
			runs.push(await build(workspace, [...args, `${target}:${tag}`, '--copy', '--incremental']));
		expect(runs.map(({ stderr }) => /warning/i.test(stderr))).toEqual([false, false, false]);
		const { entries } = await decoded(readLayout(`${workspace.root}/images`, 'b'));
		expect(entries.get(`${HOME}/given`)?.content).toBe('.\n./kept\ntrue\n');
	});

	test('takes the artifacts of the image that --previous-image names', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		const args = [savingSource(saveKept), `${registry.host}/builders/tiny`];
		await build(workspace, [...args, `${registry.host}/team/main:1`, '--copy']);
		const previous = ['--previous-image', `${registry.host}/team/main:1`];
		await run(workspace, registry, savingSource(saveKept), ...previous);
		expect(await given(registry)).toBe('.\n./kept\ntrue\n');
	});

	test('downloads only the layer that the previous build added', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		await run(workspace, registry, TINY_APP);
		const added = (await pulled(registry, 'team/app')).manifest.layers.at(-1);
		const { result } = await run(workspace, registry, TINY_APP);
		expect(result.bytes.downloaded).toBe(added?.size);
	});

	test('confines what a hostile save-artifacts writes', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		const members = [tarSymlink('out', '/tmp'), tarFile('out/probe', 'x'), tarFile('../probe', 'x'), tarFile('good')];
		const script = `base64 -d <<'END'\n${tarOf(members).toString('base64')}\nEND`;
		await run(workspace, registry, savingSource(script));
		const { stderr } = await run(workspace, registry, savingSource(script));
		expect(stderr).toContain('below a link');
		expect(await given(registry)).toBe('.\n./good\n./out\ntrue\n');
	});
});

describe('--rm', () => {
	const digests = (registry: TestRegistry) =>
		[...registry.manifests.keys()].filter((key) => key.startsWith('team/app@'));

	test('deletes the previous image after an incremental build', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		await run(workspace, registry, TINY_APP);
		const { result } = await run(workspace, registry, TINY_APP, '--rm');
		expect(digests(registry)).toEqual([`team/app@${String(result.digest)}`]);
		expect(registry.manifests.has('team/app:latest')).toBe(true);
	});

	test('leaves the image when the build gave the same one, or was a clean one', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		await run(workspace, registry, savingSource('exit 0'), '--rm');
		await run(workspace, registry, savingSource('exit 1'), '--rm');
		expect(digests(registry).length).toBeGreaterThan(1);
	});

	test('says in one line that the registry does not allow it', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry({ noDelete: true })];
		await run(workspace, registry, TINY_APP);
		const { stderr } = await run(workspace, registry, TINY_APP, '--rm');
		expect(stderr.match(/the previous image of .* stays: .*405/g)).toHaveLength(1);
		expect(digests(registry)).toHaveLength(2);
	});
});
