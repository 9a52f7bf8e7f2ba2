import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { requirePrograms, requireRoot } from '../support/host.js';
import { ROOT_USER } from '../support/job.js';
import { openScene } from '../support/live-scene.js';
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
