import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agreement } from '../support/agreement.js';
import { build, type Finished, s2oci } from '../support/build.js';
import { type BuiltImage, decoded, pulled } from '../support/built.js';
import { makeDeb } from '../support/deb.js';
import { removeTree } from '../support/fs.js';
import { leftovers, requirePrograms, requireRoot } from '../support/host.js';
import { hostPrograms } from '../support/host-programs.js';
import { publishImage } from '../support/layers.js';
import { NODE_LIMIT_MS, nodeBuilder } from '../support/node-builder.js';
import { startRegistry, type TestRegistry } from '../support/registry.js';
import { arrange, CHROOT, describeRung, rungOf, type TestRung } from '../support/rung.js';
import { tarDirectory, tarFile } from '../support/tar.js';
import { assembleSource, readLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

type Context = Parameters<typeof arrange>[1];

const env = { SOURCE_DATE_EPOCH: '1750000000' };
const MANY_IDS = [
	...[rungOf('root', 'runc'), rungOf('root', 'bwrap'), rungOf('s2oci-subuid', 'runc'), rungOf('s2oci-subuid', 'bwrap')],
	...[rungOf('root', 'runc', 'copy'), rungOf('s2oci-subuid', 'crun', 'copy'), CHROOT],
];
const ONE_ID = [rungOf('s2oci-plain', 'bwrap'), rungOf('s2oci-plain', 'runc'), rungOf('s2oci-plain', 'bwrap', 'copy')];
/** dpkg in busybox: it looks for programs that it does not need here, and its log has the time in it. */
const INSTALL = 'PATH=/usr/local/bin:/bin /usr/local/bin/dpkg --force-bad-path --log=/dev/null -i';

let registry: TestRegistry;
let directory: string;
beforeAll(async () => {
	registry = await startRegistry();
	directory = mkdtempSync(join(tmpdir(), 's2oci-debs-'));
	chmodSync(directory, 0o755);
});
afterAll(async () => {
	await registry.close();
	removeTree(directory);
});

/** A package whose files belong to `owner`, in a source of its own. */
function sourceWithPackage(context: Context, owner: number, script: string): string {
	requireRoot(context);
	requirePrograms(context, 'dpkg-deb');
	const files = [
		{ path: 'usr/share/hello/tool', text: '#!/bin/sh\n', mode: 0o4755, owner: 0 },
		{ path: 'usr/share/hello/owned', text: 'owned\n', mode: 0o640, owner },
	];
	const postinst = 'echo configured > /usr/share/hello/configured';
	const deb = makeDeb(mkdtempSync(join(directory, 'deb-')), 'hello', { files, postinst });
	const source = assembleSource(script);
	copyFileSync(deb, join(source, 'hello.deb'));
	execFileSync('touch', ['-d', '@1750000000', join(source, 'hello.deb')]);
	return source;
}

function dpkgBuilder(context: Context): string {
	const programs = hostPrograms(context, 'dpkg', 'dpkg-deb', 'dpkg-split', 'tar', 'rm', 'chown');
	const database = ['var/lib', 'var/lib/dpkg', 'var/lib/dpkg/info', 'var/lib/dpkg/updates'].map((name) =>
		tarDirectory(name),
	);
	const files = [...programs, ...database, tarFile('var/lib/dpkg/status'), tarFile('var/lib/dpkg/available')];
	return publishImage(registry, 'dpkg', { files, config: { User: '0' } });
}

async function builtOn(rung: TestRung, context: Context, words: readonly string[]): Promise<string> {
	const { workspace, args, options } = arrange(rung, context);
	const { result } = await build(workspace, [...words, ...args], { ...options, env, limitMs: 300_000 });
	expect(result.rung).toMatchObject(rung.expected);
	expect(await leftovers(workspace)).toEqual([]);
	return String(result.layer?.diffId);
}

function expectInstalled({ entries }: BuiltImage, owner: number): void {
	const header = (name: string) => entries.get(`usr/share/hello/${name}`)?.header;
	expect(header('tool')).toMatchObject({ mode: 0o4755, uid: 0, gid: 0 });
	expect(header('owned')).toMatchObject({ mode: 0o640, uid: owner, gid: owner });
	expect(header('configured')).toMatchObject({ uid: 0, gid: 0 });
	expect(entries.get('usr/share/hello/configured')?.content).toBe('configured\n');
}

describe('a root builder', () => {
	const installed = agreement('the image with the package');
	const owned = agreement('the image with files of others');

	for (const rung of MANY_IDS) {
		test(`installs a package with files of other users, on ${describeRung(rung)}`, async (context) => {
			const source = sourceWithPackage(context, 42, `${INSTALL} /tmp/src/hello.deb; rm -f /var/lib/dpkg/*-old`);
			installed.add(await builtOn(rung, context, [source, dpkgBuilder(context), `${registry.host}/team/dpkg:1`]));
			expectInstalled(await pulled(registry, 'team/dpkg', '1'), 42);
		});

		test(`gives files to other users and groups, on ${describeRung(rung)}`, async (context) => {
			const script = `
			echo a > a && chown 7:8 a
			mkdir -p d/e && echo b > d/e/b && chown -R 65000:65001 d && chgrp 9 d/e/b
			ln -s a link && chown -h 3:4 link
			chown 1001:5 /usr/share/tiny && chmod 2771 /usr/share/tiny
			! mknod device c 1 3
			echo c > c && chmod 6755 c && mkfifo fifo && chown 11 fifo`;
			const words = [assembleSource(script), dpkgBuilder(context), `${registry.host}/team/owners:1`];
			owned.add(await builtOn(rung, context, words));
			const { entries } = await pulled(registry, 'team/owners', '1');
			const owners = ['a', 'd', 'd/e', 'd/e/b', 'link', 'c', 'fifo'].map((name) => {
				const header = entries.get(`opt/app-root/src/${name}`)?.header;
				return `${name} ${String(header?.uid)}:${String(header?.gid)}`;
			});
			expect(owners).toEqual([
				'a 7:8',
				'd 65000:65001',
				'd/e 65000:65001',
				'd/e/b 65000:9',
				'link 3:4',
				'c 0:0',
				'fifo 11:0',
			]);
			expect(entries.get('usr/share/tiny')?.header).toMatchObject({ uid: 1001, gid: 5, mode: 0o2771 });
			expect(entries.get('opt/app-root/src/c')?.header.mode).toBe(0o6755);
		});
	}
	installed.isTested();
	owned.isTested();

	for (const rung of ONE_ID) {
		test(`installs a package of files of root, on ${describeRung(rung)}`, async (context) => {
			const source = sourceWithPackage(context, 0, `${INSTALL} /tmp/src/hello.deb`);
			await builtOn(rung, context, [source, dpkgBuilder(context), `${registry.host}/team/dpkg:single`]);
			expectInstalled(await pulled(registry, 'team/dpkg', 'single'), 0);
		});

		test(`is told which call failed and what would do, on ${describeRung(rung)}`, async (context) => {
			const failed = async (source: string): Promise<Finished> => {
				const { workspace, args, options } = arrange(rung, context);
				return s2oci(workspace, ['build', source, dpkgBuilder(context), ...args], options);
			};
			const sources = [
				assembleSource('echo a > a; chown 7:8 a'),
				sourceWithPackage(context, 42, `${INSTALL} /tmp/src/hello.deb`),
			];
			for (const source of sources) {
				const { status, result } = await failed(source);
				expect(status).toBe(1);
				expect(result?.error).toMatchObject({
					code: 'ASSEMBLE_FAILED',
					hint: expect.stringMatching(
						/one user id only, with which chown to another id fails.*add-subuids.*root/s,
					) as string,
				});
			}
		});
	}
});

describe('apt-get in the Debian builder', () => {
	const builder = nodeBuilder();

	for (const rung of [rungOf('s2oci-subuid', 'runc'), CHROOT]) {
		test(
			`installs a local package, on ${describeRung(rung)}`,
			async (context) => {
				const script =
					'DEBIAN_FRONTEND=noninteractive apt-get install -y /tmp/src/hello.deb && hash -r && getent passwd nobody';
				const source = sourceWithPackage(context, 42, script);
				const image = mkdtempSync(join(directory, 'image-'));
				chmodSync(image, 0o777);
				const words = [source, builder(), `oci:${image}/built:1`, '--assemble-user', '0'];
				await builtOn(rung, context, words);
				const built = await decoded(readLayout(join(image, 'built')));
				expectInstalled(built, 42);
				expect(built.entries.get('var/lib/dpkg/status')?.content).toContain('Package: hello');
			},
			NODE_LIMIT_MS,
		);
	}
});
