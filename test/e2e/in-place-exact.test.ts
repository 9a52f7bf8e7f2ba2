import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { beforeEach, describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.js';
import type { Finished } from '../support/build.js';
import { requirePrograms, requireRoot } from '../support/host.js';
import { ROOT_USER } from '../support/job.js';
import { elsewhere, openScene, type Scene } from '../support/live-scene.js';
import { assembleSource, withTinyBuilder } from '../support/tiny.js';
import { readTar } from '../unit/tar/entries.js';

withTinyBuilder();

const IN_PLACE = ['--rootfs', 'in-place', '--isolation', 'none'];
const WORKDIR = '/opt/app-root/src';
/** As the scripts of many builder images end: everything gets the group's rights, whoever put it there. */
const ASSEMBLE = `cp -R /tmp/src/. .
mkdir -p node_modules/left && echo x > node_modules/left/index.js
find . -user "$(id -u)" -exec chmod g+rwX {} +
`;
const NOT_COPIED = ['--copy=false'];
const AUTHOR = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.org'];
/** Of the image, whose WORKDIR is this user's. */
const OWNER = { uid: 1001, gid: 0 };
const REWORK = `${ASSEMBLE}chmod 2770 .; find . -user "$(id -u)" -exec chmod o-x {} +; chmod -R g+rwX /srv/kept 2>/dev/null || :`;

function identity({ result }: Finished): string {
	return `${String(result?.layer?.diffId)} ${String(result?.digest)}`;
}

/** What is in the layer with the diffID that `image` begins with, one line an entry. */
function layerOf({ registry }: Scene, image: string): readonly string[] {
	const tars = [...registry.blobs.values()].filter((bytes) => bytes[0] === 0x1f).map((bytes) => gunzipSync(bytes));
	const tar = tars.find((each) => image.startsWith(digestOf(each)));
	return readTar(tar === undefined ? [] : [tar]).map(({ entry: { type, path, uid, gid, mode, mtime } }) =>
		[type, path, `${uid}:${gid}`, mode.toString(8), mtime].join(' '),
	);
}

/** Equal to the byte; what differs is told by the entries. */
function expectEqual(scene: Scene, finished: Finished, expected: string): void {
	expect(finished.result?.error, finished.stderr).toBeUndefined();
	expect(layerOf(scene, identity(finished))).toEqual(layerOf(scene, expected));
	expect(identity(finished), finished.stderr).toBe(expected);
}

const env = (more: Readonly<Record<string, string>>) => ({ SOURCE_DATE_EPOCH: '1750000000', S2OCI_STORE: '', ...more });

beforeEach((context) => {
	requireRoot(context);
	requirePrograms(context, 'umoci', 'unshare', 'chroot', 'ldd');
});

/** Builds in a job of `scene`, and checks that the image is that of the best rung. */
async function expectSame(
	scene: Scene,
	script: string,
	{ variables = {}, setup = '' }: { readonly variables?: Readonly<Record<string, string>>; readonly setup?: string },
	more: readonly string[] = [],
): Promise<Finished> {
	const source = assembleSource(script);
	const expected = await elsewhere(scene, source, more);
	const finished = await scene.build(source, [...IN_PLACE, ...more], { env: env(variables), setup });
	expectEqual(scene, finished, expected);
	return finished;
}

describe('the layer of a build in place', () => {
	test.each<[string, Readonly<Record<string, string>>]>([
		['a home in WORKDIR', { HOME: WORKDIR }],
		['a home above WORKDIR', { HOME: '/opt/app-root' }],
		['a cache directory in WORKDIR', { HOME: '/nonexistent', XDG_CACHE_HOME: `${WORKDIR}/cache` }],
		['no home', { HOME: '/' }],
		['files for a while in WORKDIR', { HOME: WORKDIR, TMPDIR: `${WORKDIR}/tmp` }],
		['a store in a directory that is made for it, in WORKDIR', { S2OCI_STORE: `${WORKDIR}/.cache/deep/store` }],
		['a store in a directory that is made for it, elsewhere', { S2OCI_STORE: '/srv/kept/made/store' }],
	])('does not depend on %s', async (_what, variables) => {
		const scene = await openScene({}, OWNER, '');
		const setup = `mkdir -p $ROOT/tmp; [ -z "${variables['TMPDIR'] ?? ''}" ] || { mkdir $ROOT${WORKDIR}/tmp; chown $JOB $ROOT${WORKDIR}/tmp; }`;
		await expectSame(scene, REWORK, { variables, setup });
	});

	test('keeps a default store out of WORKDIR, whatever HOME says', async () => {
		const scene = await openScene({}, undefined, '');
		await expectSame(scene, `${ASSEMBLE}ls -A . > listing; rm -rf .cache`, { variables: { HOME: WORKDIR } });
		expect(existsSync(join(scene.job.root, WORKDIR, '.cache'))).toBe(false);
	});

	test('does not mind that assemble empties /tmp, where the store is', async () => {
		const scene = await openScene({}, undefined, '');
		await expectSame(scene, `${ASSEMBLE}rm -rf /tmp/s2oci-[0-9]*`, { variables: { HOME: WORKDIR } });
	});

	test('has nothing of what the job itself brought, though assemble changes its modes and times', async () => {
		const scene = await openScene({}, undefined, '');
		const setup = `cd $ROOT${WORKDIR}; mkdir -p .npm/_logs $ROOT/builds/team/app
echo log > .npm/_logs/one; echo log > job.log; ln -s job.log latest; mkfifo fifo; echo x > $ROOT/builds/team/app/file
chmod 600 job.log; chown -Rh $JOB .npm job.log latest fifo $ROOT/builds; cd /`;
		await expectSame(scene, ASSEMBLE, { variables: { HOME: WORKDIR }, setup });
	});

	test('has what assemble puts among what the job brought', async () => {
		const scene = await openScene({}, undefined, '');
		const setup = `cd $ROOT${WORKDIR}; mkdir -p .npm/_logs; echo log > .npm/_logs/one; echo old > rewritten; echo x > gone
chown -R $JOB .npm rewritten gone; cd /`;
		const script = 'mkdir -p .npm; echo x > .npm/made; echo new > rewritten; rm -f gone';
		await expectSame(scene, script, { variables: { HOME: WORKDIR }, setup });
	});

	test.each([
		['s2oci', `exec > /opt/app-root/src/job.log 2>&1`],
		[
			'a process of the job',
			`( exec > /opt/app-root/src/job.log 2>&1; for each in $(seq 200); do echo $each; sleep 0.05; done ) & sleep 0.2`,
		],
	])('has nothing of a log that grows meanwhile, written by %s', async (_what, shell) => {
		const scene = await openScene({}, undefined, '');
		const before = `touch ${WORKDIR}/job.log; ${shell}`;
		const source = assembleSource(`${ASSEMBLE}sleep 0.5; echo done`);
		const expected = await elsewhere(scene, source);
		const finished = await scene.build(source, IN_PLACE, { env: env({ HOME: WORKDIR }), before });
		expectEqual(scene, finished, expected);
	});

	test('and the image are those of a machine with git, where the job has none', async (context) => {
		requirePrograms(context, 'git');
		const scene = await openScene({}, undefined, '');
		const source = assembleSource(ASSEMBLE);
		for (const words of [
			['init', '--quiet'],
			['add', '--all'],
			['commit', '--quiet', '--message', 'First'],
		]) {
			execFileSync('git', [...AUTHOR, ...words], { cwd: source });
		}
		const expected = await elsewhere(scene, source, NOT_COPIED);
		const finished = await scene.build(source, [...IN_PLACE, ...NOT_COPIED], { env: env({ HOME: WORKDIR }) });
		expect(finished.stderr).toContain('git is not installed');
		expectEqual(scene, finished, expected);
	});

	test('is not made in a store that WORKDIR is in', async () => {
		const scene = await openScene({}, OWNER, '');
		const variables = { S2OCI_STORE: WORKDIR };
		const setup = `chown 1001 $ROOT${WORKDIR}; chmod 755 $ROOT${WORKDIR}`;
		const { status, result } = await scene.build(assembleSource(ASSEMBLE), IN_PLACE, { env: env(variables), setup });
		expect([status, result?.error?.code]).toEqual([4, 'HOST_IN_PLACE']);
		expect(result?.error?.message).toContain(WORKDIR);
		expect(readdirSync(join(scene.job.root, WORKDIR))).not.toContain('greeting.txt');
	});
});

describe('a build in place by root', () => {
	const CHANGES = `id -u > who; id -G >> who; grep -E 'NoNewPrivs|CapEff' /proc/self/status > rights || :
touch /etc/forbidden 2>/dev/null && echo wrote >> who || echo refused >> who
mkdir -p /opt/app-root/made; echo x > /opt/app-root/made/file; chgrp 0 who
cd /srv/kept; echo more >> appended; mv moved moved-to; rm deleted; ln first third
mkdir -p /tmp/made; echo t > /tmp/made/file`;

	test('gives the image of the best rung, with its owners', async () => {
		const scene = await openScene({}, ROOT_USER, '');
		await expectSame(scene, `${ASSEMBLE}${CHANGES}`, { variables: { HOME: '/root' } });
	});

	test('runs assemble as the user that it is for', async () => {
		const scene = await openScene({}, ROOT_USER, '');
		const finished = await expectSame(scene, 'id -u; cp /tmp/src/greeting.txt .', {}, ['--assemble-user', '1234:0']);
		expect(finished.stderr).toContain('1234');
	});

	test('may have assemble run as root', async () => {
		const scene = await openScene({}, ROOT_USER, '');
		const script = 'echo x > /usr/made; chown 70:71 /usr/made; chmod 4755 /usr/made; chown 5 /srv/private/file';
		await expectSame(scene, script, {}, ['--assemble-user', '0']);
	});

	test('gives it without the right to become another user as well', async () => {
		const scene = await openScene({}, ROOT_USER, '');
		const source = assembleSource('cp /tmp/src/greeting.txt .; mkdir /opt/app-root/made');
		const expected = await elsewhere(scene, source);
		const finished = await scene.build(source, IN_PLACE, { env: env({}), rights: ['chown', 'sys_chroot'] });
		expectEqual(scene, finished, expected);
	});
});

describe('what a container lacks for a build in place is named:', () => {
	test.each([
		['a root directory that can be written', ''],
		['the same, with a place for temporary files', 'mount -t tmpfs -o mode=1777 none $ROOT/tmp'],
	])('%s', async (_what, temporary) => {
		const scene = await openScene({}, OWNER, '');
		const { status, result } = await scene.build(assembleSource(ASSEMBLE), IN_PLACE, {
			env: env({ S2OCI_STORE: join(scene.job.workspace.home, 'store') }),
			setup: `mount --bind $ROOT $ROOT\n${temporary}`,
			locked: 'mount -o remount,ro,bind $ROOT',
		});
		expect([status, result?.error?.code]).toEqual([4, 'HOST_IN_PLACE']);
		expect(result?.error?.message).toContain('the root filesystem of this container is read-only');
		expect(result?.error?.hint).toContain('readOnlyRootFilesystem');
	});

	test('space, for assemble', async () => {
		const scene = await openScene({}, OWNER, '');
		const setup = 'mkdir -p $ROOT/opt/full; mount -t tmpfs -o size=64k,mode=1777 none $ROOT/opt/full';
		const { status, result } = await scene.build(
			assembleSource('dd if=/dev/zero of=/opt/full/file bs=1k count=100'),
			IN_PLACE,
			{ env: env({}), setup },
		);
		expect([status, result?.error?.code]).toEqual([1, 'ASSEMBLE_FAILED']);
		expect(result?.error?.hint).toContain('in place, assemble writes to the root filesystem of the container');
	});
});
