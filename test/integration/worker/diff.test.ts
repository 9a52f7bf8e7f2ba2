import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/oci/digest.js';
import type { SandboxName } from '../../../src/sandbox/sandboxes.js';
import { agreement } from '../../support/agreement.js';
import { lacking } from '../../support/fs.js';
import { skipFor } from '../../support/needs.js';
import { tarDirectory, tarFile, tarHardLink, tarSymlink } from '../../support/tar.js';
import type { Member } from '../../unit/tar/entries.js';
import { busyboxLayer, EPOCH, openSessions, type User, withoutUser } from './session.js';

/** A file of the host that is there for sure. */
const OF_HOST = fileURLToPath(import.meta.url);

const OWNER = { uid: 1001, gid: 0 };
const OLD = { mtime: 1000, ...OWNER };
const BASE = busyboxLayer(
	...[
		'edit',
		'append',
		'cut',
		'mode',
		'gone',
		'moved',
		'same-size',
		'touched',
		'rewritten',
		'to-directory',
		'link-me',
	].map((name) => tarFile(`opt/app/${name}`, 'content\n', OLD)),
	tarDirectory('opt/app/to-file', OLD),
	tarFile('opt/app/to-file/inner', 'x', OLD),
	tarDirectory('opt/app/remade', OLD),
	tarDirectory('opt/app/remade/kept', OLD),
	tarFile('opt/app/remade/kept/lost', 'x', OLD),
	tarFile('opt/app/remade/lost', 'x', OLD),
	tarDirectory('opt/app/tree', OLD),
	tarFile('opt/app/tree/leaf', 'x', OLD),
	tarSymlink('opt/app/relinked', 'edit', OLD),
	tarSymlink('opt/app/relinked-same', 'edit', OLD),
	tarHardLink('opt/app/twin', 'opt/app/edit', OLD),
	tarFile('etc/roots', 'x', { mode: 0o600 }),
);
const SCRIPT = [
	'set -e',
	'echo changed! > edit',
	'echo more >> append',
	': > cut',
	'chmod 600 mode',
	'rm gone',
	'mv moved renamed',
	'echo CONTENT > same-size; touch -d @1000 same-size',
	'touch touched',
	'cat rewritten > x; cat x > rewritten; rm x',
	'rm to-directory; mkdir to-directory; echo in > to-directory/file',
	'rm -r to-file; echo out > to-file',
	'rm -r remade; mkdir -p remade/kept; echo new > remade/new',
	'rm -r tree; mkdir tree; echo -n x > tree/leaf; touch -d @1000 tree/leaf',
	'ln -sf append relinked; rm relinked-same; ln -s edit relinked-same',
	'ln link-me linked; echo one > first; ln first second; ln first a-first',
	'ln -s /nowhere dangling',
	'mkdir -p a/b/c/d/e; echo deep > a/b/c/d/e/f',
	'mkdir empty; chmod 1777 empty; mkfifo pipe',
	'printf x > "$(printf \'new\\nline\')"; printf x > "$(printf \'b\\377d\')"',
	'echo future > future; touch -d @4000000000 future',
	'mkdir /tmp/left; echo seen > /tmp/src/artefact; echo x > /dev/shm/x',
].join('\n');

/** A line as `tar tv` would print it. */
function line({ entry, body }: Member): string {
	const { type, path, linkPath, mode, uid, gid } = entry;
	const text = type === 'file' && !path.includes('.wh.') ? ` ${JSON.stringify(body.toString('latin1'))}` : '';
	return `${type} ${mode.toString(8)} ${uid}:${gid} ${path}${linkPath === '' ? '' : ` -> ${linkPath}`}${text}`;
}

const WANTED = [
	'directory 755 0:0 opt/',
	'directory 755 1001:0 opt/app/',
	'file 644 0:0 opt/app/.wh.gone',
	'file 644 0:0 opt/app/.wh.moved',
	'directory 755 1001:0 opt/app/a/',
	'file 644 1001:0 opt/app/a-first "one\\n"',
	'directory 755 1001:0 opt/app/a/b/',
	'directory 755 1001:0 opt/app/a/b/c/',
	'directory 755 1001:0 opt/app/a/b/c/d/',
	'directory 755 1001:0 opt/app/a/b/c/d/e/',
	'file 644 1001:0 opt/app/a/b/c/d/e/f "deep\\n"',
	'file 644 1001:0 opt/app/append "content\\nmore\\n"',
	'file 644 1001:0 opt/app/b\xffd "x"',
	'file 644 1001:0 opt/app/cut ""',
	'symlink 777 1001:0 opt/app/dangling -> /nowhere',
	'file 644 1001:0 opt/app/edit "changed!\\n"',
	'directory 1777 1001:0 opt/app/empty/',
	'link 644 1001:0 opt/app/first -> opt/app/a-first',
	'file 644 1001:0 opt/app/future "future\\n"',
	'file 644 1001:0 opt/app/linked "content\\n"',
	'file 600 1001:0 opt/app/mode "content\\n"',
	'file 644 1001:0 opt/app/new\nline "x"',
	'fifo 644 1001:0 opt/app/pipe',
	'symlink 777 1001:0 opt/app/relinked -> append',
	'directory 755 1001:0 opt/app/remade/',
	'file 644 0:0 opt/app/remade/.wh.lost',
	'directory 755 1001:0 opt/app/remade/kept/',
	'file 644 0:0 opt/app/remade/kept/.wh.lost',
	'file 644 1001:0 opt/app/remade/new "new\\n"',
	'file 644 1001:0 opt/app/renamed "content\\n"',
	'file 644 1001:0 opt/app/same-size "CONTENT\\n"',
	'link 644 1001:0 opt/app/second -> opt/app/a-first',
	'directory 755 1001:0 opt/app/to-directory/',
	'file 644 1001:0 opt/app/to-directory/file "in\\n"',
	'file 644 1001:0 opt/app/to-file "out\\n"',
	'directory 1777 0:0 tmp/',
	'directory 755 1001:0 tmp/left/',
];

const RUNGS: readonly (readonly [User, SandboxName, 'overlay' | 'copy'])[] = [
	['ourselves', 'bwrap', 'overlay'],
	['ourselves', 'runc', 'overlay'],
	['ourselves', 'runc', 'copy'],
	['s2oci-subuid', 'bwrap', 'overlay'],
	['s2oci-subuid', 'bwrap', 'copy'],
	['s2oci-subuid', 'runc', 'overlay'],
	['s2oci-plain', 'bwrap', 'overlay'],
	['s2oci-plain', 'bwrap', 'copy'],
	['s2oci-plain', 'runc', 'overlay'],
	['s2oci-plain', 'runc', 'copy'],
];

describe('the layer that a build packs', () => {
	const diffIds = agreement('the layer');

	test.for(RUNGS)(
		'holds what assemble changed and nothing else, as %s in %s on %s',
		async ([user, sandbox, rootfs], context) => {
			const reason = withoutUser(user) ?? lacking(sandbox, 'unshare', 'setpriv');
			skipFor(context, reason);
			using sessions = openSessions(user);
			const result = await sessions.run({
				layers: [BASE],
				script: SCRIPT,
				sandboxes: [sandbox],
				rootfs,
				source: { 'app.js': 'source' },
				binds: [{ source: { type: 'copy', path: OF_HOST }, destination: '/etc/hosts', type: 'file', readOnly: true }],
				pack: {},
			});
			expect([result.error, result.stderr, result.exit]).toEqual([undefined, '', { type: 'code', code: 0 }]);
			const members = sessions.packed();
			expect(members.map(line)).toEqual(WANTED);
			for (const { entry } of members) expect(entry.mtime).toBeLessThanOrEqual(EPOCH);
			expect(result.statistics).toEqual({ added: 20, changed: 8, deleted: 4 });
			expect(result.layer?.diffId).toMatch(/^sha256:/);
			diffIds.add(String(result.layer?.diffId));
		},
	);
	diffIds.isTested();

	test('is empty but for its end when assemble did nothing', async () => {
		using sessions = openSessions();
		const result = await sessions.run({ layers: [BASE], script: 'touch edit; chmod 644 append', pack: {} });
		expect(result.error).toBeUndefined();
		expect(result.statistics).toEqual({ added: 0, changed: 0, deleted: 0 });
		expect(sessions.packed()).toEqual([]);
		expect(result.layer?.diffId).toBe(digestOf(Buffer.alloc(1024)));
	});
});
