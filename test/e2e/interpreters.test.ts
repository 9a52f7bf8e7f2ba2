import { describe, expect, test } from 'vitest';
import { build, type Finished, s2oci } from '../support/build.js';
import { leftovers, makeWorkspace, requirePrograms, requireRoot, requireUser, type UserName } from '../support/host.js';
import { makeSource, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const BUILDER = (): string => `oci:${tinyLayout()}:latest`;
const NO_BASH = '#!/bin/bash\necho hello\n';
const MESSAGE =
	/cannot be run: it names the interpreter \/bin\/bash in its #! line, which the image does not have\nhint: /;

function fails({ status, stderr, result }: Finished): void {
	expect({ status, code: result?.error?.code, stderr }).toMatchObject({
		status: 1,
		code: 'SCRIPT_INVALID',
		stderr: expect.stringMatching(MESSAGE) as string,
	});
}

describe.each<UserName>(['root', 's2oci-plain'])('as %s, an assemble script without its interpreter', (name) => {
	test.for(['runc', 'crun', 'bwrap'])('is named with %s', async (isolation, context) => {
		requirePrograms(context, isolation);
		const workspace = makeWorkspace(requireUser(context, name));
		const source = makeSource({ '.s2i/bin/assemble': NO_BASH });
		fails(await s2oci(workspace, ['build', source, BUILDER(), '--isolation', isolation]));
		expect(await leftovers(workspace)).toEqual([]);
	});
});

test('is named in a changed root directory as well', async (context) => {
	requireRoot(context);
	const source = makeSource({ '.s2i/bin/assemble': NO_BASH });
	const rung = ['--isolation', 'chroot', '--rootfs', 'copy'];
	fails(await s2oci(makeWorkspace(), ['build', source, BUILDER(), ...rung]));
});

test('the interpreter of a usage script, of an image that is run, and of save-artifacts is named', async () => {
	const workspace = makeWorkspace();
	const image = `oci:${workspace.root}/image:1`;
	const scripts = { '.s2i/bin/run': NO_BASH, '.s2i/bin/save-artifacts': NO_BASH };
	await build(workspace, [makeSource(scripts), BUILDER(), image]);
	expect(await s2oci(workspace, ['run', image])).toMatchObject({
		status: 1,
		stderr: expect.stringMatching(MESSAGE) as string,
	});
	const usage = makeSource({ 'bin/usage': NO_BASH });
	expect(await s2oci(workspace, ['usage', BUILDER(), '--scripts-url', `file://${usage}/bin`])).toMatchObject({
		status: 1,
		stderr: expect.stringMatching(MESSAGE) as string,
	});
	const again = await build(workspace, [makeSource(scripts), BUILDER(), image, '--incremental']);
	expect(again.stderr).toMatch(/no artifacts of .*\/bin\/bash.*a clean build is made/);
});

test('a byte order mark is refused, and an empty script is told of', async () => {
	const marked = makeSource({ '.s2i/bin/assemble': '\ufeff#!/bin/sh\n' });
	expect(await s2oci(makeWorkspace(), ['build', marked, BUILDER()])).toMatchObject({
		status: 1,
		stderr: expect.stringContaining('.s2i/bin/assemble in the source begins with a byte order mark') as string,
	});
	const { stderr } = await build(makeWorkspace(), [makeSource({ '.s2i/bin/assemble': '' }), BUILDER()]);
	expect(stderr).toContain('.s2i/bin/assemble in the source is empty, and does nothing');
});
