import { chownSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { build, type Finished, s2oci } from '../support/build.js';
import {
	findProgram,
	leftovers,
	makeWorkspace,
	requirePrograms,
	requireRoot,
	requireUser,
	type Workspace,
} from '../support/host.js';
import { assembleSource, TINY_APP, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const builder = (): string => `oci:${tinyLayout()}:latest`;

/** Runs s2oci in a mount namespace of its own, after the shell lines `setup`; `$STORE` is the store. */
function onHost(workspace: Workspace, setup: string, args: readonly string[], after = ''): Promise<Finished> {
	const script = `set -e; STORE=${workspace.store}; mkdir -p "$STORE"; ${setup}
set +e; "$@"; status=$?
ls -A "$STORE/work" 2>/dev/null | sed 's/^/left: /' >&2
${after}
exit $status`;
	return s2oci(workspace, ['build', ...args], { wrapper: ['unshare', '--mount', 'sh', '-c', script, 'sh'] });
}

/** Runs the command a second time, on a host that was fixed by `fix`; its status is printed. */
const again = (fix: string): string => `${fix}; "$@" >/dev/null; echo "again: $?" >&2`;

function expectRefusal(failed: Finished, status: number): void {
	expect(failed.stderr).not.toMatch(/^\s+at .*[:(]\d+|BuildError|TypeError|this is a bug/m);
	expect(failed.stderr).toMatch(/^error: [^]*\nhint: .+\n/m);
	expect(failed.stderr).not.toContain('left: ');
	expect(failed.status).toBe(status);
}

describe('a host without', () => {
	test('a sandbox program builds in a changed root directory, and names those that are missing', async (context) => {
		requireRoot(context);
		const workspace = makeWorkspace();
		const found = ['runc', 'crun', 'bwrap'].map(findProgram).filter((path) => path !== undefined);
		const hide = found.map((path) => `mount --bind /dev/null "$(readlink -f ${path})"`).join('; ');
		const { status, result } = await onHost(workspace, hide, [TINY_APP, builder(), '--copy']);
		expect([status, result?.rung]).toMatchObject([0, { number: 1, sandbox: 'chroot' }]);
		expect(result?.rung?.reason).toMatch(/runc is not.*crun is not.*bwrap is not/s);
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('a store where no copy of the image can be run says so before anything is pulled', async (context) => {
		requireRoot(context);
		const mount = 'mount -t tmpfs -o noexec tmpfs $STORE';
		const failed = await onHost(makeWorkspace(), mount, [
			TINY_APP,
			builder(),
			'--copy',
			'--rootfs',
			'copy',
			'--isolation',
			'chroot',
		]);
		expectRefusal(failed, 4);
		expect(failed.result?.error).toMatchObject({
			code: 'HOST_NO_SANDBOX',
			message: expect.stringContaining('noexec') as string,
			hint: expect.stringContaining('--store') as string,
		});
		expect(failed.stderr).not.toContain('pull took');
	});

	test('the chosen sandbox does not take another one', async (context) => {
		requireRoot(context);
		const hide = `mount --bind /dev/null "$(readlink -f ${findProgram('bwrap') ?? '/nonexistent'})"`;
		const failed = await onHost(makeWorkspace(), hide, [TINY_APP, builder(), '--copy', '--isolation', 'bwrap']);
		expectRefusal(failed, 4);
		expect(failed.result?.error).toMatchObject({
			code: 'HOST_NO_SANDBOX',
			hint: expect.stringContaining('--isolation') as string,
		});
	});

	test('a sandbox in the best namespaces takes the next ones, where the source that was fetched still is', async (context) => {
		requireRoot(context);
		requirePrograms(context, 'bwrap');
		const workspace = makeWorkspace();
		const programs = join(workspace.root, 'programs');
		mkdirSync(programs);
		// Refused where every id is what it is outside.
		const refusing = `#!/bin/sh\ngrep -q 4294967295 /proc/self/uid_map && exit 1\nexec ${String(findProgram('bwrap'))} "$@"\n`;
		writeFileSync(join(programs, 'bwrap'), refusing, { mode: 0o755 });
		const env = { PATH: `${programs}:${process.env['PATH'] ?? ''}` };
		const { result } = await build(workspace, [TINY_APP, builder(), '--copy', '--isolation', 'bwrap'], { env });
		expect(result.rung).toMatchObject({ number: 3, sandbox: 'bwrap' });
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('the best sandbox takes the next one, and says why', async (context) => {
		requireRoot(context);
		const hide = `mount --bind /dev/null "$(readlink -f ${findProgram('runc') ?? '/nonexistent'})"`;
		const { status, result } = await onHost(makeWorkspace(), hide, [TINY_APP, builder(), '--copy']);
		expect(status).toBe(0);
		expect(result?.rung?.sandbox).not.toBe('runc');
		expect(result?.rung?.reason).toMatch(/runc is not installed/);
	});

	test('user namespaces names the setting', async (context) => {
		const user = requireUser(context, 's2oci-plain');
		const workspace = makeWorkspace(user);
		// The kernel gives nobody in a chroot a user namespace.
		const changed = `mkdir ${workspace.root}/host && mount --rbind / ${workspace.root}/host && exec chroot ${workspace.root}/host "$@"`;
		const failed = await s2oci(workspace, ['build', TINY_APP, builder(), '--copy'], {
			wrapper: ['unshare', '--mount', 'sh', '-c', changed, 'sh'],
		});
		expectRefusal(failed, 4);
		expect(failed.result?.error).toMatchObject({
			code: 'HOST_NO_NAMESPACES',
			hint: expect.stringContaining('max_user_namespaces') as string,
		});
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('overlay where the store is, when one is asked for, says where the store can be', async (context) => {
		requireRoot(context);
		const workspace = makeWorkspace();
		const stacked = `mkdir $STORE/../lower $STORE/../upper $STORE/../work
mount -t overlay overlay -o lowerdir=$STORE/../lower,upperdir=$STORE/../upper,workdir=$STORE/../work $STORE`;
		const failed = await onHost(workspace, stacked, [TINY_APP, builder(), '--copy', '--rootfs', 'overlay']);
		expectRefusal(failed, 4);
		expect(failed.result?.error).toMatchObject({
			code: 'HOST_NO_OVERLAY',
			hint: expect.stringContaining('--store') as string,
		});
	});
});

describe('a full disk', () => {
	test.for([
		['while unpacking', 'size=600k', 'HOST_NO_SPACE', 4, 'true'],
		['while packing', 'size=3m', 'HOST_NO_SPACE', 4, 'dd if=/dev/urandom of=big bs=1k count=900 2>/dev/null'],
		['for assemble', 'size=3m', 'ASSEMBLE_FAILED', 1, 'dd if=/dev/zero of=big bs=1k count=9000'],
	] as const)('%s', async ([, size, code, status, script], context) => {
		requireRoot(context);
		const workspace = makeWorkspace();
		const failed = await onHost(
			workspace,
			`mount -t tmpfs -o ${size},mode=0700 tmpfs $STORE`,
			[assembleSource(script), builder(), '--result-file', `${workspace.home}/first.json`],
			again('mount -o remount,size=200m $STORE'),
		);
		expectRefusal(failed, status);
		expect(failed.stderr).toMatch(/again: 0\n$/);
		expect(failed.stderr).toMatch(code === 'HOST_NO_SPACE' ? /error: .*(full|space)/i : /No space left on device/);
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('where the result goes', async (context) => {
		requireRoot(context);
		const workspace = makeWorkspace();
		const full = `${workspace.root}/full`;
		const setup = `mkdir ${full}; mount -t tmpfs -o size=64k tmpfs ${full}`;
		const failed = await onHost(workspace, setup, [TINY_APP, builder(), '--copy', '-o', `oci:${full}/image`]);
		expectRefusal(failed, failed.status ?? -1);
		expect([3, 4]).toContain(failed.status);
		expect(failed.stderr).toMatch(/error: .*(full|space)/i);
	});
});

describe('a store', () => {
	test('that may not be written is named', async (context) => {
		const user = requireUser(context, 's2oci-plain');
		const failed = await s2oci(makeWorkspace(user), ['build', TINY_APP, builder(), '--copy', '--store', '/usr/s2oci']);
		expectRefusal(failed, 4);
		expect(failed.result?.error).toMatchObject({
			code: 'HOST_STORE',
			message: expect.stringContaining('/usr/s2oci') as string,
		});
	});

	test('that is read-only is named', async (context) => {
		requireRoot(context);
		const failed = await onHost(makeWorkspace(), 'mount -t tmpfs -o ro tmpfs $STORE', [TINY_APP, builder(), '--copy']);
		expectRefusal(failed, 4);
		expect(failed.result?.error?.code).toBe('HOST_STORE');
	});
});

test('root in a user namespace with a single id still builds', async (context) => {
	const workspace = makeWorkspace(requireUser(context, 's2oci-plain'));
	const { status, stderr } = await s2oci({ ...workspace, user: undefined }, ['build', TINY_APP, builder(), '--copy'], {
		wrapper: [
			...['setpriv', '--reuid', String(workspace.user?.uid), '--regid', String(workspace.user?.gid), '--clear-groups'],
			...['unshare', '--user', '--map-root-user'],
		],
	});
	expect(stderr).not.toMatch(/^error/m);
	expect(status).toBe(0);
});

test('a store that only the parent may enter is told as such', async (context) => {
	requireRoot(context);
	const workspace = makeWorkspace();
	const closed = join(workspace.root, 'closed');
	mkdirSync(closed, { mode: 0o700 });
	chownSync(closed, 12_345, 12_345);
	const args = ['build', TINY_APP, builder(), '--copy', '--store', join(closed, 'store')];
	const wrapper = ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin'];
	const failed = await s2oci(workspace, args, { wrapper });
	expectRefusal(failed, 4);
	expect(failed.result?.error).toMatchObject({
		code: 'HOST_STORE',
		hint: expect.stringContaining('--store') as string,
	});
	expect(readdirSync(join(closed, 'store/work'))).toEqual([]);
});

test('a damaged index in the store is told as such, not as the end of the worker', async () => {
	const workspace = makeWorkspace();
	const args = ['build', assembleSource('sleep 0.5'), builder(), '--copy'];
	expect((await s2oci(workspace, args)).status).toBe(0);
	const layers = join(workspace.store, 'layers-1');
	for (const mapping of readdirSync(layers)) {
		for (const layer of readdirSync(join(layers, mapping)))
			writeFileSync(join(layers, mapping, layer, 'index.json'), '{');
	}
	const failed = await s2oci(workspace, args);
	expectRefusal(failed, 4);
	expect(failed.result?.error?.code).toBe('HOST_STORE');
	expect(await leftovers(workspace)).toEqual([]);
});
