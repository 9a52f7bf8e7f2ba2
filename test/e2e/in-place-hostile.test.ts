import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { type BuiltImage, pulled } from '../support/built.js';
import { requirePrograms, requireRoot } from '../support/host.js';
import { ROOT_USER } from '../support/job.js';
import { elsewhere, openScene, type Scene } from '../support/live-scene.js';
import { assembleSource, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const env = { SOURCE_DATE_EPOCH: '1750000000', HOME: '/nonexistent' };
const IN_PLACE = ['--rootfs', 'in-place', '--isolation', 'none'];
const COPY = 'cp /tmp/src/greeting.txt .';

beforeEach((context) => {
	requireRoot(context);
	requirePrograms(context, 'umoci', 'unshare', 'chroot', 'ldd');
});

describe('a hostile assemble in place', () => {
	test('has root write to no file of the job', async () => {
		const scene = await openScene({}, ROOT_USER, '');
		const setup = 'mkdir -p $ROOT/root; echo secret > $ROOT/root/secret; chmod 700 $ROOT/root';
		const source = assembleSource(`${COPY}; ln -s /root/secret .s2oci-built`);
		const { status, stderr } = await scene.build(source, IN_PLACE, { env, setup });
		expect(status, stderr).toBe(0);
		expect(readFileSync(join(scene.job.root, 'root/secret'), 'utf8')).toBe('secret\n');
	});

	test('cannot keep the build from ending', async () => {
		const scene = await openScene();
		const source = assembleSource(`${COPY}; mkfifo .s2oci-built`);
		const { status, stderr } = await scene.build(source, IN_PLACE, { env });
		expect(status, stderr).toBe(0);
	}, 60_000);
});

describe('what only root of the job may read', () => {
	const SECRET = 'TOKEN=of-the-job';
	/** The text of every file in the image, by its path. */
	const textsOf = ({ entries }: BuiltImage) => [...entries].map(([path, { content }]) => `${path}: ${content}`);

	test('is not in the layer, wherever assemble moves it, and this is told', async () => {
		const scene = await openScene({}, ROOT_USER, '');
		const setup = `cd $ROOT/srv/kept; umask 077; echo ${SECRET} > .env; echo ${SECRET} > other; mkdir sealed
echo ${SECRET} > sealed/key; chmod 644 sealed/key; cd /`;
		const moves = 'mv .env env.txt; mv other appended; mv sealed unsealed';
		const source = assembleSource(`${COPY}; cd /srv/kept; [ ! -e .env ] || { ${moves}; }; echo made > made`);
		const { stderr, result } = await scene.build(source, IN_PLACE, { env, setup });
		expect(result?.error, stderr).toBeUndefined();
		const image = await pulled(scene.registry, 'team/app', '1');
		expect(textsOf(image).filter((text) => text.includes(SECRET))).toEqual([]);
		expect(textsOf(image)).toContain('srv/kept/made: made\n');
		expect([...image.entries.keys()].filter((path) => /sealed|env/.test(path))).toEqual([]);
		expect(stderr).toMatch(/warning: .*\/srv\/kept\/env\.txt/);
	});
});

describe('labels that an earlier step of the job has left', () => {
	const LEFT = `mkdir -p $ROOT/tmp/.s2i; echo '{"labels":[{"left":"over"}]}' > $ROOT/tmp/.s2i/image_metadata.json`;

	test.each([
		['as a file', LEFT],
		[
			'as a link',
			`${LEFT}; mkdir -m 700 $ROOT/vault; mv $ROOT/tmp/.s2i/image_metadata.json $ROOT/vault/m; ln -s /vault/m $ROOT/tmp/.s2i/image_metadata.json`,
		],
	])('%s are not those of the image', async (_what, setup) => {
		const scene = await openScene({}, ROOT_USER, '');
		const source = assembleSource(COPY);
		const { stderr, result } = await scene.build(source, IN_PLACE, { env, setup });
		expect(result?.error, stderr).toBeUndefined();
		expect(`${String(result?.layer?.diffId)} ${String(result?.digest)}`).toBe(await elsewhere(scene, source));
		expect(stderr).toContain('/tmp/.s2i/image_metadata.json');
	});
});

describe('a store that the user of the image could exchange', () => {
	const inStore = (setup: string, store: string): readonly [string, string] => [setup, store];
	const build = async (
		setup: string,
		store: string,
	): Promise<readonly [Scene, Awaited<ReturnType<Scene['build']>>]> => {
		const scene = await openScene({}, ROOT_USER, '');
		return [scene, await scene.build(assembleSource(COPY), IN_PLACE, { env: { ...env, S2OCI_STORE: store }, setup })];
	};

	test.each([
		['of that user', inStore('mkdir $ROOT/own; chown 1001 $ROOT/own', '/own/deep/store'), '/own'],
		['that everybody may write', inStore('mkdir -m 777 $ROOT/vol', '/vol'), '/vol'],
		['of its group', inStore('mkdir -m 775 $ROOT/grp; mkdir $ROOT/grp/store; chgrp 5 $ROOT/grp', '/grp/store'), '/grp'],
		[
			'through a link',
			inStore('mkdir $ROOT/own $ROOT/data; chown 1001 $ROOT/own; ln -s /data $ROOT/own/at', '/own/at/store'),
			'/own',
		],
	])('is refused to root: in a directory %s', async (_what, [setup, store], named) => {
		const [, { status, result }] = await build(setup, store);
		expect([status, result?.error?.code]).toEqual([4, 'HOST_STORE']);
		expect(result?.error?.message).toContain(`"${named}"`);
		expect(result?.error?.hint).toContain('--store DIR');
	});

	test('is not refused below a directory with the sticky bit', async () => {
		const [, { status, stderr }] = await build('mkdir -m 1777 $ROOT/vol', '/vol');
		expect(status, stderr).toBe(0);
	});

	test('is not what root gets by default', async () => {
		const scene = await openScene({}, ROOT_USER, '');
		const setup = 'mkdir $ROOT/builds; mount -t tmpfs -o mode=777 none $ROOT/builds';
		const more = { ...env, CI_BUILDS_DIR: '/builds', S2OCI_STORE: '' };
		const { status, stderr } = await scene.build(assembleSource(COPY), IN_PLACE, { env: more, setup });
		expect(status, stderr).toBe(0);
	});
});
