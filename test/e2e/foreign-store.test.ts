import {
	chmodSync,
	chownSync,
	lchownSync,
	lstatSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	symlinkSync,
	utimesSync,
	writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, type TestContext, test } from 'vitest';
import { build, type Finished, s2oci } from '../support/build.js';
import {
	type HostUser,
	leftovers,
	listDirectory,
	makeWorkspace,
	requireRoot,
	requireUser,
	type Workspace,
} from '../support/host.js';
import { TINY_APP, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const args = (): readonly string[] => [TINY_APP, `oci:${tinyLayout()}:latest`, '--copy'];
const buildIn = (workspace: Workspace): Promise<Finished> => s2oci(workspace, ['build', ...args()]);
const OLD = new Date(0);
/** In a container, what whoever is not root builds may come to be in place, for which the store is on a volume of the job, or in /tmp. */
const NEVER_IN_PLACE: readonly string[] = process.getuid?.() === 0 ? [] : ['--rootfs', 'copy'];

/** A directory with a file of its own at `path`, as old as a scratch directory that nobody uses any more. */
function makeVictim(path: string): string {
	mkdirSync(path, { mode: 0o700 });
	writeFileSync(join(path, 'file'), 'of the victim');
	utimesSync(path, OLD, OLD);
	return path;
}

function requireOther(context: TestContext): HostUser {
	const user = requireUser(context, 's2oci-plain');
	if (user === undefined) throw new Error('s2oci-plain is not root');
	return user;
}

function giveTo({ uid, gid }: HostUser, ...paths: readonly string[]): void {
	for (const path of paths) chownSync(path, uid, gid);
}

function expectRefused({ result, stderr, status }: Finished, path: string): void {
	expect(result?.error).toMatchObject({
		code: 'HOST_STORE',
		message: expect.stringContaining(path) as string,
		hint: expect.stringContaining('--store DIR') as string,
	});
	expect(stderr).not.toMatch(/^\s+at /m);
	expect(status).toBe(4);
}

describe('a store of somebody else', () => {
	test.for(['build', 'store', 'prune', 'doctor'])('is refused by %s, as it is', async (command, context) => {
		const other = requireOther(context);
		const workspace = makeWorkspace();
		const victim = makeVictim(join(workspace.root, 'victim'));
		const work = join(workspace.store, 'work');
		mkdirSync(work, { recursive: true });
		symlinkSync(victim, join(work, 'aaaaaaaaaaaa'));
		writeFileSync(join(work, 'aaaaaaaaaaaa.lock'), '');
		giveTo(other, workspace.store, work);
		const refused = await s2oci(workspace, command === 'build' ? ['build', ...args()] : [command]);
		expect(refused.stdout + refused.stderr).toContain(`belongs to user ${other.uid}`);
		expect(refused.status).not.toBe(0);
		expect(readdirSync(work).sort()).toEqual(['aaaaaaaaaaaa', 'aaaaaaaaaaaa.lock']);
		expect(readdirSync(workspace.store)).toEqual(['work']);
		expect(readFileSync(join(victim, 'file'), 'utf8')).toBe('of the victim');
	});

	test('is refused behind a link of theirs, also when it leads to ours', async (context) => {
		const other = requireOther(context);
		const workspace = makeWorkspace();
		const victim = makeVictim(join(workspace.root, 'victim'));
		symlinkSync(victim, workspace.store);
		const linked = await buildIn(workspace);
		expect(linked.status).toBe(0);
		const again = makeWorkspace();
		symlinkSync(victim, again.store);
		lchownSync(again.store, other.uid, other.gid);
		expectRefused(await buildIn(again), again.store);
	});

	test.for(['work', 'layers-1', 'images', 'built', 'sandboxes', 'indexes-1'])(
		'is refused where they made its %s',
		async (name, context) => {
			const other = requireOther(context);
			const workspace = makeWorkspace();
			mkdirSync(join(workspace.store, name), { recursive: true });
			giveTo(other, join(workspace.store, name));
			expectRefused(await buildIn(workspace), join(workspace.store, name));
			expect(readdirSync(join(workspace.store, name))).toEqual([]);
		},
	);
});

test.for(['work', 'layers-1', 'layers-1/none', 'images', 'saved', 'holds.lock'])(
	'a link in the place of %s is refused, and not followed',
	async (name, context) => {
		requireRoot(context);
		const workspace = makeWorkspace();
		const victim = makeVictim(join(workspace.root, 'victim'));
		makeVictim(join(victim, 'aaaaaaaaaaaa'));
		mkdirSync(join(workspace.store, name, '..'), { recursive: true });
		symlinkSync(victim, join(workspace.store, name));
		expectRefused(await buildIn(workspace), join(workspace.store, name));
		expect(readdirSync(victim).sort()).toEqual(['aaaaaaaaaaaa', 'file']);
		expect(readdirSync(join(victim, 'aaaaaaaaaaaa'))).toEqual(['file']);
	},
);

test.for([
	['HOME=/', { HOME: '/' }],
	['HOME=/proc/1', { HOME: '/proc/1' }],
] as const)('with %s the store is in the directory for temporary files', async ([, env]) => {
	const workspace = makeWorkspace();
	const own = join(workspace.temporary, `s2oci-${process.geteuid?.() ?? 0}`);
	const { status } = await s2oci(workspace, ['build', ...args(), ...NEVER_IN_PLACE], {
		env: { ...env, S2OCI_STORE: '' },
	});
	expect(status).toBe(0);
	expect(readdirSync(own)).toContain('layers-1');
	expect(readdirSync('/')).not.toContain('.cache');
});

test('a store in /proc is refused, and nothing hangs', async () => {
	const workspace = makeWorkspace();
	const failed = await s2oci(workspace, ['build', ...args(), '--store', '/proc/1/x/y'], { limitMs: 60_000 });
	expect(failed.result?.error?.code).toBe('HOST_STORE');
	expect(failed.status).toBe(4);
});

describe('where others may write', () => {
	test.for([
		['root', 0o777],
		['s2oci-plain', 0o777],
		['s2oci-subuid', 0o2775],
		['s2oci-plain', 0o1777],
	] as const)('%s uses a directory of its own, in a volume of mode %o', async ([name, mode], context) => {
		const user = requireUser(context, name);
		const workspace = makeWorkspace(user);
		mkdirSync(workspace.store);
		chownSync(workspace.store, 0, user?.gid ?? 0);
		chmodSync(workspace.store, mode);
		const own = join(workspace.store, `s2oci-${user?.uid ?? 0}`);
		await build(workspace, args());
		expect(readdirSync(workspace.store)).toEqual([`s2oci-${user?.uid ?? 0}`]);
		expect(lstatSync(own).mode & 0o777).toBe(0o700);
		expect(lstatSync(workspace.store).mode & 0o7777).toBe(mode);
		const listed = await s2oci(workspace, ['store']);
		expect(listed.stdout).toContain(`store ${own}\n`);
		expect(await leftovers({ ...workspace, store: own })).toEqual([]);
	});

	test('a directory that another user made in the place of ours is refused', async (context) => {
		const other = requireOther(context);
		const workspace = makeWorkspace();
		const own = join(workspace.store, 's2oci-0');
		mkdirSync(own, { recursive: true });
		chmodSync(workspace.store, 0o1777);
		giveTo(other, own);
		expectRefused(await buildIn(workspace), own);
		expect(readdirSync(own)).toEqual([]);
	});

	test('what fsGroup opens to the group of a volume is ours again, and still used', async (context) => {
		const user = requireUser(context, 's2oci-plain');
		const workspace = makeWorkspace(user);
		mkdirSync(workspace.store);
		chownSync(workspace.store, 0, user?.gid ?? 0);
		chmodSync(workspace.store, 0o2775);
		await build(workspace, args());
		const own = join(workspace.store, `s2oci-${user?.uid ?? 0}`);
		const opened = [own, ...listDirectory(own).map((name) => join(own, name))];
		for (const path of opened) chmodSync(path, 0o2770);
		await build(workspace, args());
		for (const path of opened) expect(lstatSync(path).mode & 0o022).toBe(0);
		expect(readdirSync(workspace.store)).toEqual([`s2oci-${user?.uid ?? 0}`]);
	});
});
