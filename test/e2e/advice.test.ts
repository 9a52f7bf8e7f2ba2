import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Diagnosis } from '../../src/pipeline/doctor/diagnosis.js';
import { build, s2oci } from '../support/build.js';
import { removeTree } from '../support/fs.js';
import {
	makeWorkspace,
	requirePrograms,
	requireRoot,
	requireUser,
	type UserName,
	type Workspace,
} from '../support/host.js';
import { podmanRun } from '../support/podman.js';
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
	requirePrograms(context, 'podman', 'runc', 'newuidmap', 'setcap');
});

/** A command that runs its arguments in a container of podman with these options, whose files are those of this machine. */
function containerWith(options: readonly string[], { root }: Workspace): readonly string[] {
	const own = mkdtempSync(join(tmpdir(), 's2oci-podman-'));
	onTestFinished(() => removeTree(own));
	const seen = [root, PROJECT, NODE].flatMap((path) => ['--volume', `${path}:${path}`]);
	return [
		...podmanRun(own),
		...seen,
		...['S2OCI_STORE', 'HOME', 'TMPDIR', 'PATH'].flatMap((name) => ['--env', name]),
		...[...options, '--rootfs', '/:O', '/bin/sh', '-c', 'exec "$@"', 'sh'],
	];
}

/** The options of podman that do what an advice for containers says: of several in it, those that podman knows. */
function optionsOf(fix: string): readonly string[] {
	const image = /^RUN (.+) in the image that the job runs in$/.exec(fix)?.[1];
	if (image !== undefined) return withMappers(image);
	const podman = /or (--security-opt \S+) \(Podman\)/.exec(fix)?.[1];
	return (
		(podman ?? fix.split(/, or| \(/)[0] ?? '')
			.match(/--(?:cap-add|security-opt) \S+/g)
			?.flatMap((each) => each.split(' ')) ?? []
	);
}

/** Mounts copies of the programs that map ids, changed by `command` as the image's would be. */
function withMappers(command: string): readonly string[] {
	const copies = mkdtempSync(join(tmpdir(), 's2oci-mappers-'));
	onTestFinished(() => removeTree(copies));
	chmodSync(copies, 0o755);
	execFileSync('sh', ['-ec', `cp -a /usr/bin/new?idmap .; ${command.replaceAll('/usr/bin/', './')}`], { cwd: copies });
	return ['newuidmap', 'newgidmap'].flatMap((name) => ['--volume', `${copies}/${name}:/usr/bin/${name}`]);
}

async function examine(workspace: Workspace, options: readonly string[]): Promise<Diagnosis> {
	const { stdout } = await s2oci(workspace, ['doctor', '--json'], { wrapper: containerWith(options, workspace) });
	return JSON.parse(stdout) as Diagnosis;
}

interface Setting {
	readonly user: UserName;
	readonly options: readonly string[];
}

const SETTINGS: Readonly<Record<string, Setting>> = {
	'the default of podman': { user: 'root', options: [] },
	'no filter': { user: 'root', options: ['--security-opt', 'seccomp=unconfined'] },
	'a store on the overlay of the container': { user: 'root', options: ['--env', 'S2OCI_STORE=/var/tmp/s2oci'] },
	'a user with a range of ids': { user: 's2oci-subuid', options: [] },
	'a user with a range of ids and no filter': {
		user: 's2oci-subuid',
		options: ['--security-opt', 'seccomp=unconfined'],
	},
};

describe('what doctor advises in a container', () => {
	test.for(Object.entries(SETTINGS).map(([name, setting]) => ({ name, ...setting })))(
		'with $name lets a build pass one by one, and all together on a better rung',
		async ({ user: name, options }, context) => {
			const user = requireUser(context, name);
			const workspace = { ...makeWorkspace(user), user: undefined };
			const own = [...options, ...(user === undefined ? [] : ['--user', `${user.uid}:${user.gid}`])];
			const { best, findings } = await examine(workspace, own);
			const before = best?.rung ?? 7;
			expect(findings.map(({ code }) => code)).not.toContain('OVERLAY_ON_OVERLAY');
			const words = [TINY_APP, `${registry.host}/builders/tiny`, `${registry.host}/team/app:1`, '--copy'];
			const rungWith = async (more: readonly string[]) => {
				const wrapper = containerWith([...own, ...more], workspace);
				return (await build(workspace, words, { wrapper })).result.rung?.number;
			};
			const each = findings.flatMap(({ fixes }) =>
				fixes.filter(({ place }) => place === 'container').map(({ fix }) => optionsOf(fix)),
			);
			expect(each).not.toContainEqual([]);
			if (each.length > 1) {
				for (const applied of each) expect(await rungWith(applied)).toBeLessThanOrEqual(before);
			}
			expect(await rungWith(each.flat())).toBeLessThan(before);
		},
	);
});
