import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Diagnosis } from '../../src/pipeline/doctor/diagnosis.js';
import type { BuildResult } from '../../src/pipeline/result.js';
import { type BuilderContainer, openBuilderContainer, RESTRICTED } from '../support/builder-container.js';
import { removeTree } from '../support/fs.js';
import { requirePrograms, requireRoot } from '../support/host.js';
import { elsewhere, openScene, type Scene } from '../support/live-scene.js';
import { assembleSource, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const SOURCE = 'cp -R /tmp/src/. .; mkdir made; echo more >> /srv/kept/appended; chmod -R g+rwX made';

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

function openArchive({ layout }: Scene, source: string): BuilderContainer {
	const container = openBuilderContainer(layout, source);
	execFileSync('tar', ['-xzf', archive, '-C', container.volume]);
	return container;
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
		const { run, volume } = openArchive(scene, source);
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
		const { run } = openArchive(scene, assembleSource('true'));
		const found = JSON.parse(
			await run(`/vol/s2oci/bin/s2oci doctor --json ${scene.registry.host}/builders/tiny`),
		) as Diagnosis;
		expect(found.best).toMatchObject({ rung: 6, sandbox: 'none' });
		expect(found.rungs.at(-1)).toMatchObject({ rung: 6, status: 'works' });
		const codes = found.findings.map(({ code }) => code);
		expect(codes.filter((code) => /OVERLAY|NETWORK_FILE|NOEXEC|IN_PLACE/.test(code))).toEqual([]);
	});
});
