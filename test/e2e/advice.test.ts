import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Diagnosis } from '../../src/build/doctor/diagnosis.js';
import { build, s2oci } from '../support/build.js';
import { makeWorkspace, removeTree, requirePrograms, requireRoot, type Workspace } from '../support/host.js';
import { startRegistry, type TestRegistry } from '../support/registry.js';
import { publish, readLayout, TINY_APP, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const NODE = dirname(dirname(process.execPath));

let registry: TestRegistry;
beforeAll(async () => {
	registry = await startRegistry();
	publish(registry, readLayout(tinyLayout()));
});
afterAll(async () => {
	await registry.close();
});

beforeEach((context) => {
	requireRoot(context);
	requirePrograms(context, 'podman', 'runc');
});

/** A command that runs its arguments in a container of podman with these options, whose files are those of this machine. */
function containerWith(options: readonly string[], { root }: Workspace): readonly string[] {
	const own = mkdtempSync(join(tmpdir(), 's2oci-podman-'));
	onTestFinished(() => removeTree(own));
	const seen = [root, PROJECT, NODE].flatMap((path) => ['--volume', `${path}:${path}`]);
	return [
		...['podman', '--root', join(own, 'podman'), '--runroot', join(own, 'r'), '--storage-driver', 'vfs'],
		...['--runtime', 'runc', '--cgroup-manager', 'cgroupfs', '--events-backend', 'none', 'run', '--rm', '--quiet'],
		...['--ulimit', 'nofile=4096:4096', '--ulimit', 'nproc=8192:8192', '--network', 'host', ...seen],
		...['S2OCI_STORE', 'HOME', 'TMPDIR', 'PATH'].flatMap((name) => ['--env', name]),
		...[...options, '--rootfs', '/:O', '/bin/sh', '-c', 'exec "$@"', 'sh'],
	];
}

/** The options of podman in an advice for containers: of several, the first that podman knows. */
function optionsOf(fix: string): readonly string[] {
	const podman = /or (--security-opt \S+) \(Podman\)/.exec(fix)?.[1];
	return (
		(podman ?? fix.split(/, or| \(/)[0] ?? '')
			.match(/--(?:cap-add|security-opt) \S+/g)
			?.flatMap((each) => each.split(' ')) ?? []
	);
}

async function examine(workspace: Workspace, options: readonly string[]): Promise<Diagnosis> {
	const { stdout } = await s2oci(workspace, ['doctor', '--json'], { wrapper: containerWith(options, workspace) });
	return JSON.parse(stdout) as Diagnosis;
}

describe('what doctor advises in a container', () => {
	test.each<[string, readonly string[]]>([
		['the default of podman', []],
		['no filter', ['--security-opt', 'seccomp=unconfined']],
		['a store on the overlay of the container', ['--env', 'S2OCI_STORE=/var/tmp/s2oci']],
	])('of %s lets a build pass, on a better rung', async (_what, options) => {
		const workspace = makeWorkspace();
		const found = await examine(workspace, options);
		const before = found.best?.rung ?? 7;
		const advice = found.findings.flatMap(({ fixes }) => fixes.filter(({ place }) => place === 'container'));
		expect(found.findings.map(({ code }) => code)).not.toContain('OVERLAY_ON_OVERLAY');
		const applied = advice.flatMap(({ fix }) => optionsOf(fix));
		expect(applied).not.toEqual([]);
		const wrapper = containerWith([...options, ...applied], workspace);
		const words = [TINY_APP, `${registry.host}/builders/tiny`, `${registry.host}/team/app:1`, '--copy'];
		const { result } = await build(workspace, words, { wrapper });
		expect(result.rung?.number).toBeLessThan(before);
	});
});
