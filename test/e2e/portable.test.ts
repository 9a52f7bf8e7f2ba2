import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Diagnosis } from '../../src/pipeline/doctor/diagnosis.js';
import type { BuildResult } from '../../src/pipeline/result.js';
import { removeTree } from '../support/fs.js';
import { requirePrograms, requireRoot } from '../support/host.js';
import { elsewhere, openScene, type Scene } from '../support/live-scene.js';
import { podmanRun } from '../support/podman.js';
import { assembleSource, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const execute = promisify(execFile);
const SOURCE = 'cp -R /tmp/src/. .; mkdir made; echo more >> /srv/kept/appended; chmod -R g+rwX made';
const RESTRICTED = ['--security-opt', 'no-new-privileges', '--cap-drop', 'ALL', '--user', '1000660000:0'];

let archive = '';
let directory = '';
beforeAll(() => {
	directory = mkdtempSync(join(tmpdir(), 's2oci-portable-'));
	archive = join(directory, 's2oci.tar.gz');
	execFileSync(fileURLToPath(new URL('../../scripts/package', import.meta.url)), [archive], { stdio: 'ignore' });
}, 600_000);
afterAll(() => removeTree(directory));

beforeEach((context) => {
	requireRoot(context);
	requirePrograms(context, 'podman', 'runc', 'umoci');
});

interface Container {
	readonly volume: string;
	/** What `shell`, run by the builder image's own /bin/sh, prints. */
	readonly run: (shell: string, options?: readonly string[]) => Promise<string>;
}

/** A container that runs the builder of `scene`, on an overlay, with the archive unpacked on a volume at /vol. */
function openContainer({ layout }: Scene, source: string): Container {
	const own = mkdtempSync(join(tmpdir(), 's2oci-podman-'));
	onTestFinished(() => removeTree(own));
	execFileSync('umoci', ['raw', 'unpack', '--image', `${layout}:latest`, join(own, 'fs')], { stdio: 'ignore' });
	const volume = join(own, 'vol');
	mkdirSync(volume);
	chmodSync(volume, 0o777);
	chmodSync(own, 0o755);
	execFileSync('tar', ['-xzf', archive, '-C', volume]);
	const run: Container['run'] = async (shell, options = RESTRICTED) => {
		const [podman = '', ...words] = podmanRun(own);
		const { stdout } = await execute(podman, [
			...words,
			...['--volume', `${volume}:/vol`, '--volume', `${source}:${source}:ro`, ...options],
			...['--env', 'SOURCE_DATE_EPOCH=1750000000', '--env', 'HOME=/opt/app-root/src'],
			...['--rootfs', `${join(own, 'fs')}:O`, '/bin/sh', '-c', shell],
		]);
		return stdout;
	};
	return { volume, run };
}

describe('the archive of s2oci', () => {
	test.each([
		['any user, in a job that is allowed nothing', RESTRICTED],
		['the user of the image', ['--user', '1001:0', '--security-opt', 'no-new-privileges', '--cap-drop', 'ALL']],
		['root', ['--user', '0:0']],
		['root who may not become another user', ['--user', '0:0', '--cap-drop', 'ALL']],
	])('builds in a builder image that has neither Node.js nor a C library, as %s', async (_who, options) => {
		const scene = await openScene();
		const { host } = scene.registry;
		const source = assembleSource(SOURCE);
		const expected = await elsewhere(scene, source);
		const { run, volume } = openContainer(scene, source);
		const words = `${source} ${host}/builders/tiny ${host}/team/app:1 --copy --rootfs in-place`;
		await run(
			`cd /opt/app-root/src; umask 0; echo log > job.log; /vol/s2oci/bin/s2oci build ${words} --result-file /vol/result.json`,
			options,
		);
		const result = JSON.parse(readFileSync(join(volume, 'result.json'), 'utf8')) as BuildResult;
		expect(result.rung).toMatchObject({ number: 6, rootfs: 'in-place' });
		expect(`${String(result.layer?.diffId)} ${String(result.digest)}`).toBe(expected);
	});

	test('lets doctor find out that a job in the builder image works', async () => {
		const scene = await openScene();
		const { run } = openContainer(scene, assembleSource('true'));
		const found = JSON.parse(
			await run(`/vol/s2oci/bin/s2oci doctor --json ${scene.registry.host}/builders/tiny`),
		) as Diagnosis;
		expect(found.best).toMatchObject({ rung: 6, sandbox: 'none' });
		expect(found.rungs.at(-1)).toMatchObject({ rung: 6, status: 'works' });
		const codes = found.findings.map(({ code }) => code);
		expect(codes.filter((code) => /OVERLAY|NETWORK_FILE|NOEXEC|IN_PLACE/.test(code))).toEqual([]);
	});
});
