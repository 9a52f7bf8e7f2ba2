import { describe, expect, test } from 'vitest';
import { agreement } from '../../support/agreement.js';
import { lacking } from '../../support/fs.js';
import { skipFor } from '../../support/needs.js';
import { tarDirectory, tarFile, tarHardLink, tarSymlink } from '../../support/tar.js';
import { APP, BASE, copyFiles, mount, prepare, ROOT_USER, RUNGS } from './copy-calls.js';
import { type Call, fillDirectory, openCopySession, shell } from './copy-session.js';
import { busyboxLayer, withoutUser } from './session.js';

describe('files that are copied and made by several users in turn', () => {
	const diffIds = agreement('the layer');

	test.for(RUNGS)('give the same layer, as %s in %s on %s', ([user, sandbox, rootfs], context) => {
		const reason = withoutUser(user) ?? lacking(sandbox, 'unshare', 'setpriv');
		skipFor(context, reason);
		using session = openCopySession(user, (source) =>
			fillDirectory(source, { a: 'a\n', '755 tool': '#!\n', 'dir/b': 'b\n' }),
		);
		const { source } = session;
		const result = session.run(
			[BASE],
			[
				mount('builder'),
				copyFiles(['a', 'tool'], '/srv/made', { intoDirectory: true })(source),
				copyFiles(['dir'], '/opt/app/merged', { owner: { uid: 1234, gid: 5 }, chown: true, mode: 0o640 })(source),
				copyFiles(['a'], '/opt/app/old')(source),
				copyFiles(['a'], '/opt/far', { owner: { uid: 3_000_000, gid: 0 }, chown: true })(source),
				prepare('builder'),
				shell(
					'builder',
					'echo r > /opt/by-root; mv /srv/made/a /srv/moved; mkdir /opt/dir; ln -s x /opt/dir/link',
					ROOT_USER,
					sandbox,
				),
				shell('builder', 'echo u > /opt/app/by-user; rm /opt/app/merged/kept', APP, sandbox),
				copyFiles([], '/opt/app/new/deep', { owner: APP, chown: true })(source),
				shell('builder', 'echo again > /opt/again', ROOT_USER, sandbox),
				shell('builder', 'echo last > /opt/app/last; mv /opt/app/by-user /opt/app/renamed', APP, sandbox),
				...session.packing('builder', APP),
			],
			rootfs,
		);
		expect([result.error, result.printed]).toEqual([undefined, '']);
		expect(session.packed()).toEqual([
			'directory 755 0:0 opt/',
			'file 644 0:0 opt/again "again\\n"',
			'directory 755 1001:0 opt/app/',
			'file 644 1001:0 opt/app/last "last\\n"',
			'directory 700 1001:0 opt/app/merged/',
			'file 644 0:0 opt/app/merged/.wh.kept',
			'file 640 1234:5 opt/app/merged/b "b\\n"',
			'directory 755 1001:0 opt/app/new/',
			'directory 755 1001:0 opt/app/new/deep/',
			'file 644 0:0 opt/app/old "a\\n"',
			'file 644 1001:0 opt/app/renamed "u\\n"',
			'file 644 0:0 opt/by-root "r\\n"',
			'directory 755 0:0 opt/dir/',
			'symlink 777 0:0 opt/dir/link -> x',
			'file 644 3000000:0 opt/far "a\\n"',
			'directory 755 0:0 srv/',
			'directory 755 0:0 srv/made/',
			'file 755 0:0 srv/made/tool "#!\\n"',
			'file 644 0:0 srv/moved "a\\n"',
		]);
		diffIds.add(JSON.stringify(result.responses.at(-1)));
	});
	diffIds.isTested();
});

describe('copyArtifacts', () => {
	const BUILDER = busyboxLayer(
		tarDirectory('opt/app/dist', { uid: 1001, mode: 0o750 }),
		tarFile('opt/app/dist/tool', 'tool\n', { uid: 1001, mode: 0o700 }),
		tarHardLink('opt/app/dist/tool2', 'opt/app/dist/tool'),
		tarSymlink('opt/app/dist/out', '/etc/shadow'),
		tarSymlink('opt/app/current', 'dist'),
		tarFile('opt/app/one', '1\n', { uid: 1001 }),
		tarSymlink('opt/app/host', '../../../../../../etc/hostname'),
	);
	const artifacts = (...pairs: readonly (readonly [string, string])[]): Call => [
		'copyArtifacts',
		{
			from: 'builder',
			to: 'runtime',
			artifacts: pairs.map(([source, destination]) => ({ source, destination })),
			owner: APP,
		},
	];

	test.for(RUNGS)(
		'keep their modes and links and get the new owner, as %s in %s on %s',
		([user, sandbox, rootfs], context) => {
			const reason = withoutUser(user) ?? lacking(sandbox, 'unshare', 'setpriv');
			skipFor(context, reason);
			using session = openCopySession(user, () => undefined);
			const copied = artifacts(
				['/opt/app/dist', '/srv'],
				['/opt/app/one', '/srv/deep/er'],
				['/opt/app/current', '/srv/'],
			);
			const result = session.run(
				[BUILDER, BASE],
				[mount('builder', BUILDER), mount('runtime'), copied, ...session.packing('runtime', APP)],
				rootfs,
			);
			expect(result.error).toBeUndefined();
			expect(result.responses[2]).toEqual({ copied: 9, skipped: [], missing: [] });
			expect(session.packed()).toEqual([
				'directory 755 1001:0 srv/',
				'directory 750 1001:0 srv/current/',
				'symlink 777 1001:0 srv/current/out -> /etc/shadow',
				'file 700 1001:0 srv/current/tool "tool\\n"',
				'link 700 1001:0 srv/current/tool2 -> srv/current/tool',
				'directory 755 1001:0 srv/deep/',
				'directory 755 1001:0 srv/deep/er/',
				'file 644 1001:0 srv/deep/er/one "1\\n"',
				'directory 750 1001:0 srv/dist/',
				'symlink 777 1001:0 srv/dist/out -> /etc/shadow',
				'link 700 1001:0 srv/dist/tool -> srv/current/tool',
				'link 700 1001:0 srv/dist/tool2 -> srv/current/tool',
			]);
		},
	);

	test('that are not there are named, and no link of the builder leads to the host', () => {
		using session = openCopySession('ourselves', () => undefined);
		const calls = [mount('builder', BUILDER), mount('runtime'), artifacts(['/none', '/x'], ['/opt/app/host', '/x'])];
		expect(session.run([BUILDER, BASE], calls).responses.at(-1)).toEqual({
			copied: 0,
			skipped: [],
			missing: ['/none', '/opt/app/host'],
		});
	});
});
