import { describe, expect, test } from 'vitest';
import { build } from '../support/build.js';
import { type BuiltImage, pulled } from '../support/built.js';
import { makeWorkspace, requireUser, type UserName } from '../support/host.js';
import { assembleSource, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const EPOCH = 1_750_000_000;

/** What an assemble script makes, for a user whom the test may need to become. */
async function assembled(script: string, user?: Parameters<typeof makeWorkspace>[0]): Promise<BuiltImage> {
	const registry = await tinyRegistry();
	const args = [assembleSource(script), `${registry.host}/builders/tiny`, `${registry.host}/team/app`];
	await build(makeWorkspace(user), args, { env: { SOURCE_DATE_EPOCH: String(EPOCH) } });
	return pulled(registry, 'team/app');
}

/** The names of a layer without those of the scripts that the source brought. */
function names({ entries }: BuiltImage): readonly string[] {
	return [...entries.keys()].filter((name) => !/^tmp(\/scripts(\/|$)|$)/.test(name));
}

describe.each<UserName>(['root', 's2oci-subuid', 's2oci-plain'])('the layer, built by %s', (name) => {
	test('has what assemble changed, and nothing else', async (context) => {
		const image = await assembled(
			`
			echo new > new
			mkdir -p deep/er && echo x > deep/er/file
			chmod 700 /usr/share/tiny/removed-by-assemble
			rm /usr/share/tiny/removed-by-assemble && echo changed > /usr/share/tiny/removed-by-assemble`,
			requireUser(context, name),
		);
		expect(names(image)).toEqual([
			'opt',
			'opt/app-root',
			'opt/app-root/src',
			'opt/app-root/src/deep',
			'opt/app-root/src/deep/er',
			'opt/app-root/src/deep/er/file',
			'opt/app-root/src/new',
			'usr',
			'usr/share',
			'usr/share/tiny',
			'usr/share/tiny/removed-by-assemble',
		]);
		for (const [path, { header }] of image.entries) {
			expect(header.mtime.getTime(), path).toBeLessThanOrEqual(EPOCH * 1000);
			expect(header, path).toMatchObject(path.startsWith('opt/app-root') ? { uid: 1001, gid: 0 } : { gid: 0 });
		}
	});

	test('has whiteouts for what assemble deleted, one for a whole directory', async (context) => {
		const image = await assembled(
			'rm /usr/share/tiny/removed-by-assemble; rm -r /opt/app-root/bin',
			requireUser(context, name),
		);
		expect(names(image).filter((path) => path.includes('.wh.'))).toEqual([
			'opt/app-root/.wh.bin',
			'usr/share/tiny/.wh.removed-by-assemble',
		]);
	});

	test('leaves out what was only touched, or given the mode, owner or content that it had', async (context) => {
		const image = await assembled(
			`
			touch /usr/share/tiny/removed-by-assemble /opt/app-root/bin
			chmod 644 /usr/share/tiny/removed-by-assemble
			cp -p /usr/share/tiny/removed-by-assemble /usr/share/tiny/copy
			mv /usr/share/tiny/copy /usr/share/tiny/removed-by-assemble
			chmod g+rwX /opt/app-root/src`,
			requireUser(context, name),
		);
		expect(names(image)).toEqual([]);
	});

	test('has nothing of the source, the kernel or the host', async (context) => {
		const image = await assembled(
			`
			echo x > /tmp/src/made-here
			test -s /etc/resolv.conf && test -d /proc/self && test -c /dev/null
			echo x > /dev/shm/file
			echo kept > /tmp/kept`,
			requireUser(context, name),
		);
		expect([...image.entries.keys()]).toEqual(['tmp', 'tmp/kept', 'tmp/scripts', 'tmp/scripts/assemble']);
		expect(image.entries.get('tmp')?.header.mode).toBe(0o1777);
	});

	test('keeps links, modes, empty directories and names that are not UTF-8', async (context) => {
		const image = await assembled(
			`
			echo '#!/bin/sh' > tool && chmod 4755 tool
			ln tool hard && ln -s ../nowhere dangling
			mkdir -m 2750 empty && mkfifo fifo
			touch "$(printf 'caf\\351')" "$(printf 'n\\303\\274tzlich')" 'a b'`,
			requireUser(context, name),
		);
		const at = (path: string) => image.entries.get(`opt/app-root/src/${path}`)?.header;
		expect(at('hard')).toMatchObject({ type: 'file', mode: 0o4755 });
		expect(at('tool')).toMatchObject({ type: 'link', linkname: 'opt/app-root/src/hard' });
		expect(at('dangling')).toMatchObject({ type: 'symlink', linkname: '../nowhere' });
		expect(at('empty')).toMatchObject({ type: 'directory', mode: 0o2750 });
		expect(at('fifo')).toMatchObject({ type: 'fifo' });
		expect(at('nützlich')).toMatchObject({ size: 0 });
		expect(at('a b')).toMatchObject({ size: 0 });
		expect(names(image).some((path) => path.startsWith('opt/app-root/src/caf'))).toBe(true);
	});
});
