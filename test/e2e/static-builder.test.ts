import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { build } from '../support/build.js';
import { pulled } from '../support/built.js';
import { findProgram, makeWorkspace, requirePrograms, requireUser, type UserName } from '../support/host.js';
import { publishImage } from '../support/layers.js';
import { tarDirectory, tarFile, tarOf, tarSymlink } from '../support/tar.js';
import { emptyRegistry, makeSource, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

/** Copies the greeting to where it runs. */
const PROGRAM = `
#include <stdio.h>
int main(void) {
	FILE *in = fopen("/tmp/src/greeting.txt", "r"), *out = fopen("greeting.txt", "w");
	if (!in || !out) return 3;
	for (int c; (c = getc(in)) != EOF; ) putc(c, out);
	return fclose(out);
}
`;

test.for<UserName>(['root', 's2oci-subuid', 's2oci-plain'])(
	'an image without shell, tar and passwd is a builder, for %s',
	async (name, context) => {
		requirePrograms(context, 'gcc');
		const workspace = makeWorkspace(requireUser(context, name));
		const program = join(workspace.root, 'assemble');
		writeFileSync(`${program}.c`, PROGRAM);
		try {
			execFileSync(findProgram('gcc') ?? 'gcc', ['-static', '-Os', '-o', program, `${program}.c`], { stdio: 'pipe' });
		} catch {
			context.skip('gcc cannot link statically here');
		}
		const registry = await emptyRegistry();
		const tar = tarOf([
			...['opt', 's2i'].map((path) => tarDirectory(path)),
			tarDirectory('opt/app', { uid: 1001 }),
			tarDirectory('tmp', { mode: 0o1777 }),
			tarFile('s2i/assemble', readFileSync(program), { mode: 0o755 }),
			tarSymlink('s2i/run', 'assemble'),
		]);
		const Labels = { 'io.openshift.s2i.scripts-url': 'image:///s2i' };
		const config = { User: '1001', WorkingDir: '/opt/app', Env: [], Labels, Cmd: undefined };
		const builder = publishImage(registry, 'static', { tars: [tar], config });
		await build(workspace, [makeSource({ 'greeting.txt': 'hello\n' }), builder, `${registry.host}/team/app`, '--copy']);
		const { entries } = await pulled(registry, 'team/app');
		expect([...entries.keys()]).toEqual(['opt', 'opt/app', 'opt/app/greeting.txt']);
		expect(entries.get('opt/app/greeting.txt')).toMatchObject({ content: 'hello\n', header: { uid: 1001, gid: 0 } });
	},
);
