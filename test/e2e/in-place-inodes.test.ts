import { beforeEach, expect, test } from 'vitest';
import { pulled } from '../support/built.js';
import { requirePrograms, requireRoot } from '../support/host.js';
import { ROOT_USER } from '../support/job.js';
import { elsewhere, openScene } from '../support/live-scene.js';
import { assembleSource, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const IN_PLACE = ['--rootfs', 'in-place', '--isolation', 'none'];
const OPTIONS = { SOURCE_DATE_EPOCH: '1750000000', HOME: '/nonexistent' };
/** An overlay as container engines make it. */
const OVERLAY =
	'U=$(dirname $ROOT)/ov; mkdir -p $U/u $U/w; mount -t overlay -o lowerdir=$ROOT,upperdir=$U/u,workdir=$U/w overlay $ROOT';
/** An overlay of two file systems, which both count their inodes from 1, with 200 files that only root reaches. */
const APART = `U=$(dirname $ROOT)/ov
mkdir -p $U; mount -t tmpfs -o mode=755 none $U; mkdir -p $U/l $U/x
mount -t tmpfs -o mode=755 none $U/l; cp -a $ROOT/. $U/l/
mount -t tmpfs -o mode=755 none $U/x; mkdir $U/x/u $U/x/w
mount -t overlay -o lowerdir=$U/l,upperdir=$U/x/u,workdir=$U/x/w overlay $ROOT
cd $ROOT/srv/kept; mkdir -m 700 sealed; for i in $(seq 1 200); do echo TOKEN=$i > sealed/k$i; done; cd /`;
/** A file of mode 0600 with a list that gives it to user 7: its group bits are the list's mask then. */
const LISTED = `cd $ROOT/srv/kept; umask 077; echo TOKEN=1 > .env; python3 -c "
import os,struct
entry = lambda tag, rights, id: struct.pack('<HHI', tag, rights, id)
none = 0xffffffff
os.setxattr('.env', 'system.posix_acl_access', struct.pack('<I', 2) + entry(1, 6, none) + entry(2, 4, 7)
	+ entry(4, 0, none) + entry(0x10, 4, none) + entry(0x20, 0, none))"
umask 022; cd /`;

beforeEach((context) => {
	requireRoot(context);
	requirePrograms(context, 'umoci', 'unshare', 'chroot', 'ldd', 'python3');
});

const contentOf = async ({ registry }: Awaited<ReturnType<typeof openScene>>) =>
	[...(await pulled(registry, 'team/app', '1')).entries].map(([path, { content }]) => `${path}: ${content}`);

test('in place on an overlay, a file of several links that assemble moves is in the layer', async () => {
	const scene = await openScene({}, ROOT_USER, '');
	const source = assembleSource('cp /tmp/src/greeting.txt .; cd /srv/kept; mv first first2');
	const { stderr, result } = await scene.build(source, IN_PLACE, { env: OPTIONS, setup: OVERLAY });
	expect(await contentOf(scene), stderr).toContain('srv/kept/first2: linked\n');
	expect(`${String(result?.layer?.diffId)} ${String(result?.digest)}`).toBe(await elsewhere(scene, source));
});

test.for([
	['inodes of two file systems have one number', APART, 'mv sealed open'],
	[
		'a closed directory takes the place of another',
		`${APART}\nmkdir $ROOT/srv/kept/open`,
		'rmdir open; mv sealed open',
	],
	['an access control list says who may read', LISTED, 'mv .env env.txt'],
] as const)('in place, what root alone could read is not in the layer where %s', async ([, setup, move]) => {
	const scene = await openScene({}, ROOT_USER, '');
	const source = assembleSource(
		`cp /tmp/src/greeting.txt .; cd /srv/kept; [ ! -e sealed ] && [ ! -e .env ] || ${move}`,
	);
	const { status, stderr } = await scene.build(source, IN_PLACE, { env: OPTIONS, setup });
	expect(status, stderr).toBe(0);
	expect(stderr).toContain('left out is what the user of assemble could not read');
	expect((await contentOf(scene)).filter((text) => text.includes('TOKEN'))).toEqual([]);
});
