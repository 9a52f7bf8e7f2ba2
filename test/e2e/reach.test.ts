import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Rung } from '../../src/pipeline/events.js';
import { agreement } from '../support/agreement.js';
import { build } from '../support/build.js';
import { removeTree } from '../support/fs.js';
import { leftovers, makeWorkspace, requirePrograms, requireUser, type Workspace } from '../support/host.js';
import { podmanRun } from '../support/podman.js';
import { startRegistry, type TestRegistry } from '../support/registry.js';
import { identity } from '../support/same-image.js';
import { publish, readLayout, TINY_APP, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

let registry: TestRegistry;
beforeAll(async () => {
	registry = await startRegistry();
	publish(registry, readLayout(tinyLayout()));
});
afterAll(async () => {
	await registry.close();
});

interface Filter {
	readonly syscalls: readonly {
		readonly names: readonly string[];
		readonly action: string;
		readonly errnoRet?: number;
	}[];
}

/** A container that a job gets. */
interface Shape {
	readonly name: string;
	readonly options: readonly string[];
	/** How its seccomp filter differs from podman's default. */
	readonly filter?: (filter: Filter) => Filter;
	/** What becomes of the user in it. */
	readonly user?: 's2oci-subuid' | 's2oci-plain';
	/** Run as root in the container first. */
	readonly setUp?: string;
	readonly expected: Partial<Rung>;
}

const PODMAN_FILTER = '/usr/share/containers/seccomp.json';
const [EACCES, ENOSYS] = [13, 38];
const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const NODE = dirname(dirname(process.execPath));
const UNCONFINED = ['--security-opt', 'seccomp=unconfined'];
const UNMASKED = ['--security-opt', 'unmask=ALL'];
const SYS_ADMIN = ['--cap-add', 'SYS_ADMIN'];
/** As images for rootless builds in pods have them. */
const FILE_CAPABILITIES = ['uid', 'gid']
	.map(
		(kind) =>
			`install -m 755 /usr/bin/new${kind}map /usr/local/bin; setcap cap_set${kind}+ep /usr/local/bin/new${kind}map`,
	)
	.join('; ');

const without =
	(...names: readonly string[]) =>
	(filter: Filter): Filter => ({
		...filter,
		syscalls: filter.syscalls.map((rule) => ({ ...rule, names: rule.names.filter((name) => !names.includes(name)) })),
	});
const answering =
	(errnoRet: number, ...names: readonly string[]) =>
	(filter: Filter): Filter => {
		const { syscalls } = without(...names)(filter);
		return { ...filter, syscalls: [...syscalls, { names, action: 'SCMP_ACT_ERRNO', errnoRet }] };
	};

const SHAPES: readonly Shape[] = [
	{ name: 'the default of podman', options: [], expected: { number: 5, sandbox: 'chroot' } },
	{ name: 'an unmasked /proc', options: UNMASKED, expected: { number: 3 } },
	{ name: 'a masked /proc and no filter', options: UNCONFINED, expected: { number: 5 } },
	{
		name: 'SYS_ADMIN without keyrings and pivot_root, as Docker gives it',
		options: SYS_ADMIN,
		filter: without('keyctl', 'add_key', 'pivot_root'),
		expected: { number: 1, sandbox: 'runc' },
	},
	{ name: 'SYS_ADMIN and no filter', options: [...SYS_ADMIN, ...UNCONFINED], expected: { number: 1, sandbox: 'runc' } },
	{
		name: 'SYS_ADMIN without mounts, as AppArmor leaves it',
		options: SYS_ADMIN,
		filter: answering(EACCES, 'mount', 'pivot_root', 'umount2'),
		expected: { number: 5 },
	},
	{
		name: 'a kernel without unshare, as gVisor is',
		options: [],
		filter: answering(ENOSYS, 'unshare'),
		expected: { number: 5 },
	},
	{
		name: 'a user with a range, no filter, and a masked /proc',
		options: UNCONFINED,
		user: 's2oci-subuid',
		setUp: FILE_CAPABILITIES,
		expected: { number: 2, sandbox: 'chroot' },
	},
	{
		name: 'a user with a range, no filter, and set-user-ID programs that have no rights',
		options: UNCONFINED,
		user: 's2oci-subuid',
		expected: { number: 3, sandbox: 'chroot' },
	},
	{
		name: 'a user with a range, no filter, and an unmasked /proc',
		options: [...UNCONFINED, ...UNMASKED],
		user: 's2oci-subuid',
		setUp: FILE_CAPABILITIES,
		expected: { number: 2, sandbox: 'runc' },
	},
	{
		name: 'a user without a range and no filter',
		options: UNCONFINED,
		user: 's2oci-plain',
		expected: { number: 3, sandbox: 'chroot' },
	},
	{
		name: 'a user with a range, by default',
		options: [],
		user: 's2oci-subuid',
		setUp: FILE_CAPABILITIES,
		expected: { sandbox: 'chroot' },
	},
];

/** A command that runs its arguments in a container of `shape`, whose files are those of this machine, and which sees `workspace`. */
function containerOf({ options, filter, setUp = ':' }: Shape, { root }: Workspace): readonly string[] {
	const own = mkdtempSync(join(tmpdir(), 's2oci-podman-'));
	onTestFinished(() => removeTree(own));
	const profile = join(own, 'seccomp.json');
	if (filter !== undefined)
		writeFileSync(profile, JSON.stringify(filter(JSON.parse(readFileSync(PODMAN_FILTER, 'utf8')) as Filter)));
	const seen = [root, PROJECT, NODE].flatMap((path) => ['--volume', `${path}:${path}`]);
	return [
		...podmanRun(own),
		...seen,
		...['S2OCI_STORE', 'HOME', 'TMPDIR', 'SOURCE_DATE_EPOCH', 'PATH'].flatMap((name) => ['--env', name]),
		...(filter === undefined ? [] : ['--security-opt', `seccomp=${profile}`]),
		...[...options, '--rootfs', '/:O', 'sh', '-c', `set -e; PATH=/usr/local/bin:$PATH; ${setUp}; exec "$@"`, 'sh'],
	];
}

describe('a build in a container', () => {
	const seen = agreement('the image');
	for (const shape of SHAPES) {
		test(`of ${shape.name} is that of rung ${String(shape.expected.number ?? 'any')}`, async (context) => {
			requirePrograms(context, 'podman', 'runc', 'setcap');
			const user = requireUser(context, shape.user ?? 'root');
			const workspace = makeWorkspace(user);
			const words = [TINY_APP, `${registry.host}/builders/tiny`, `${registry.host}/team/app:1`];
			const options = { wrapper: containerOf(shape, workspace), env: { SOURCE_DATE_EPOCH: '1750000000' } };
			const { result, stderr } = await build(workspace, [...words, '--copy', '--loglevel', '3'], options);
			expect(result.rung).toMatchObject(shape.expected);
			const isFiltered = !UNCONFINED.every((word) => shape.options.includes(word));
			expect(stderr.includes('the job has a seccomp filter of its own')).toBe(isFiltered);
			expect(await leftovers(workspace)).toEqual([]);
			seen.add(identity(result));
		});
	}
	seen.isTested();
});
