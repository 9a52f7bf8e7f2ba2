import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { build } from '../support/build.js';
import { pulled } from '../support/built.js';
import { makeWorkspace, requireUser, type UserName } from '../support/host.js';
import { publishImage } from '../support/layers.js';
import { keptProgram } from '../support/programs.js';
import { tarDirectory, tarFile, tarOf, tarSymlink } from '../support/tar.js';
import { emptyRegistry, makeSource, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

/** Copies the greeting to where it runs. Its interpreter is the only program of the image, and nothing there is called a shell. */
const ASSEMBLE = `#!/s2i/awk -f
BEGIN { while ((getline line < "/tmp/src/greeting.txt") > 0) print line > "greeting.txt" }
`;

test.for<UserName>(['root', 's2oci-subuid', 's2oci-plain'])(
	'an image without shell, tar and passwd is a builder, for %s',
	async (name, context) => {
		const workspace = makeWorkspace(requireUser(context, name));
		const registry = await emptyRegistry();
		const tar = tarOf([
			...['opt', 's2i'].map((path) => tarDirectory(path)),
			tarDirectory('opt/app', { uid: 1001 }),
			tarDirectory('tmp', { mode: 0o1777 }),
			tarFile('s2i/awk', readFileSync(keptProgram('busybox')), { mode: 0o755 }),
			tarFile('s2i/assemble', ASSEMBLE, { mode: 0o755 }),
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
