import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Diagnosis, RungTrial } from '../../src/pipeline/doctor/diagnosis.js';
import { type RunOptions, s2oci } from '../support/build.js';
import {
	findProgram,
	leftovers,
	makeWorkspace,
	requirePrograms,
	requireRoot,
	requireUser,
	type Workspace,
} from '../support/host.js';
import { needs } from '../support/needs.js';
import type { TestRegistry } from '../support/registry.js';
import { emptyRegistry, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

type Examined = Diagnosis & { readonly status: number | null };

async function examine(
	workspace: Workspace,
	args: readonly string[] = [],
	options: RunOptions = {},
): Promise<Examined> {
	const { status, stdout, stderr } = await s2oci(workspace, ['doctor', '--json', ...args], options);
	expect(stderr).toBe('');
	expect(await leftovers(workspace)).toEqual([]);
	return { ...(JSON.parse(stdout) as Diagnosis), status };
}

function rung({ rungs }: Diagnosis, number: number): RungTrial | undefined {
	return rungs.find((each) => each.rung === number);
}

function codesOf({ findings }: Diagnosis): readonly string[] {
	return findings.map(({ code }) => code);
}

/** Runs s2oci after the shell lines `setup`, in a mount namespace of its own; `$STORE` is the store. */
function after(workspace: Workspace, setup: string): RunOptions {
	const script = `set -e; STORE=${workspace.store}; mkdir -p "$STORE"; ${setup}\nexec "$@"`;
	return { wrapper: ['unshare', '--mount', 'sh', '-c', script, 'sh'] };
}

/** Drops the capabilities `names` from all that it runs. */
const without = (...names: readonly string[]): readonly string[] => {
	return names.length === 0 ? [] : ['capsh', `--drop=${names.join(',')}`, '--', '-c', 'exec "$@"', 'sh'];
};

/** Every id is there, but neither mounts nor user namespaces can be had, as in a plain container of a locked host. */
const LOCKED = `f=$(mktemp -u); mkfifo "$f"
unshare --user sh -c 'read -r _ < "$0"; exec sh -c "echo 0 > /proc/sys/user/max_user_namespaces; exec \\"\\$@\\"" sh "$@"' "$f" "$@" &
pid=$!
while [ "$(readlink /proc/$pid/ns/user)" = "$(readlink /proc/self/ns/user)" ]; do sleep 0.02; done
echo '0 0 4294967295' > /proc/$pid/uid_map; echo '0 0 4294967295' > /proc/$pid/gid_map
echo > "$f"; wait $pid; status=$?; rm -f "$f"; exit $status`;

const locked = (...dropped: readonly string[]): RunOptions => ({
	wrapper: ['sh', '-c', LOCKED, 'sh', ...without('cap_sys_admin', ...dropped)],
});

const users = [
	['root', 1, 'runc', []],
	['s2oci-subuid', 2, 'runc', []],
	['s2oci-plain', 3, 'bwrap', ['NO_SUBUID']],
] as const;

describe('the best rung is found by trying it:', () => {
	for (const [name, best, sandbox, codes] of users) {
		test(`${name} builds on rung ${best} with ${sandbox}`, async (context) => {
			requirePrograms(context, sandbox);
			const found = await examine(makeWorkspace(requireUser(context, name)));
			expect(found.status).toBe(0);
			expect(found.best).toMatchObject({ rung: best, sandbox });
			expect(rung(found, best)).toMatchObject({ status: 'works', findings: [] });
			expect(rung(found, 4)).toMatchObject({ status: 'works' });
			expect(codesOf(found)).toEqual(codes);
		});
	}

	test('people get a line for each rung, and the best in the last one', async () => {
		const { status, stdout, stderr } = await s2oci(makeWorkspace(), ['doctor']);
		expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
		expect(stdout.match(/^rung \d {2}.+ (?:works|blocked|skipped|unknown) /gm)).toHaveLength(6);
		expect(stdout).toMatch(/^store \/.+ free/m);
		expect(stdout).toMatch(/\nbest: rung \d, .+\n$/);
	});
});

describe('what is in the way is named:', () => {
	test('root without CAP_SYS_ADMIN', async (context) => {
		requireRoot(context);
		requirePrograms(context, 'capsh', 'bwrap');
		const found = await examine(makeWorkspace(), [], { wrapper: without('cap_sys_admin') });
		expect(found).toMatchObject({ status: 0, best: { rung: 3 } });
		expect(rung(found, 1)).toMatchObject({ status: 'blocked', findings: ['NO_SYS_ADMIN'] });
		expect(codesOf(found)).toEqual(['NO_SYS_ADMIN']);
	});

	test('no user namespaces at all leave root the chroot', async (context) => {
		requireRoot(context);
		requirePrograms(context, 'capsh');
		const found = await examine(makeWorkspace(), [], locked());
		expect(found).toMatchObject({ status: 0, best: { rung: 5, sandbox: 'chroot' } });
		expect(rung(found, 3)).toMatchObject({ status: 'blocked', findings: ['MAX_USER_NAMESPACES'] });
		expect(codesOf(found)).toEqual(['NO_SYS_ADMIN', 'MAX_USER_NAMESPACES']);
	});

	test('without CAP_SYS_CHROOT there is not even that, and the status is 4', async (context) => {
		requireRoot(context);
		requirePrograms(context, 'capsh');
		const found = await examine(makeWorkspace(), [], locked('cap_sys_chroot'));
		expect(found.status).toBe(4);
		expect(found.best).toBeUndefined();
		expect(rung(found, 5)).toMatchObject({ status: 'blocked', findings: ['NO_SYS_CHROOT'] });
		expect(codesOf(found)).toContain('IN_PLACE');
	});

	test('a user without user namespaces', async (context) => {
		const workspace = makeWorkspace(requireUser(context, 's2oci-plain'));
		requirePrograms(context, 'capsh');
		const found = await examine(workspace, [], locked());
		expect(found.status).toBe(4);
		expect(rung(found, 1)).toMatchObject({ status: 'blocked', findings: ['NOT_ROOT'] });
		expect(rung(found, 3)).toMatchObject({ status: 'blocked', findings: ['MAX_USER_NAMESPACES'] });
		const finding = found.findings.find(({ code }) => code === 'MAX_USER_NAMESPACES');
		expect(finding?.fixes.map(({ fix }) => fix).join()).toContain('sysctl -w user.max_user_namespaces=');
	});

	test('no_new_privs, which takes the rights of newuidmap away', async (context) => {
		const user = requireUser(context, 's2oci-subuid');
		const found = await examine(makeWorkspace(user), [], { wrapper: ['setpriv', '--no-new-privs'] });
		expect(rung(found, 2)).toMatchObject({ status: 'blocked', findings: ['NO_NEW_PRIVS'] });
		expect(codesOf(found)).toContain('NO_NEW_PRIVS');
	});

	test.for([
		['newuidmap', 'NO_NEWUIDMAP'],
		['unshare', 'NO_UNSHARE'],
	] as const)('a missing %s', async ([program, code], context) => {
		requireRoot(context);
		const workspace = makeWorkspace();
		const hide = `mount --bind /dev/null "$(readlink -f ${findProgram(program) ?? '/nonexistent'})"`;
		const options = after(workspace, hide);
		const found = await examine(workspace, [], options);
		expect([
			...codesOf(found),
			...found.programs.filter(({ path }) => path === undefined).map(({ name }) => name),
		]).toEqual(expect.arrayContaining(program === 'unshare' ? [code, program] : [program]));
	});

	test('no sandbox program and no git', async (context) => {
		requireRoot(context);
		const workspace = makeWorkspace();
		const there = ['runc', 'crun', 'bwrap', 'git'].map(findProgram).filter((path) => path !== undefined);
		const hide = there.map((path) => `mount --bind /dev/null "$(readlink -f ${path})"`).join('; ');
		const found = await examine(workspace, [], after(workspace, hide));
		expect(found).toMatchObject({ status: 0, best: { rung: 1, sandbox: 'chroot' } });
		expect(rung(found, 1)).toMatchObject({ status: 'works' });
		expect(codesOf(found)).toEqual(['NO_GIT']);
	});

	test('a store on an overlay, where images are copied', async (context) => {
		requireRoot(context);
		const workspace = makeWorkspace();
		const stacked = `mount -t tmpfs tmpfs $STORE; cd $STORE; mkdir l u w m; cd /
mount -t overlay overlay -o lowerdir=$STORE/l,upperdir=$STORE/u,workdir=$STORE/w $STORE/m; mount --bind $STORE/m $STORE`;
		const found = await examine(workspace, [], after(workspace, stacked));
		expect(found).toMatchObject({ status: 0, best: { rung: 4 }, store: { fileSystem: 'overlay' } });
		expect(rung(found, 1)).toMatchObject({ status: 'blocked', findings: ['OVERLAY_ON_OVERLAY'] });
		expect(codesOf(found)).toContain('OVERLAY_ON_OVERLAY');
	});

	test.for(['noexec', 'nosuid'])('a store that is mounted %s', async (option, context) => {
		requireRoot(context);
		const workspace = makeWorkspace();
		const found = await examine(workspace, [], after(workspace, `mount -t tmpfs -o mode=0700,${option} tmpfs $STORE`));
		expect(found.store.mountOptions).toContain(option);
		expect(found.store.findings).toContain(option.toUpperCase());
		// Only copies are executed in the store, and this host needs none.
		expect(codesOf(found)).not.toContain('NOEXEC');
	});

	test('a store that cannot be written', async (context) => {
		requireRoot(context);
		const workspace = makeWorkspace();
		const options = { ...after(workspace, 'mount -t tmpfs -o ro tmpfs $STORE'), env: { GITLAB_CI: 'true' } };
		const found = await examine(workspace, [], options);
		expect(found.status).toBe(4);
		expect(found.findings[0]?.fixes[0]?.place).toBe('gitlab');
		expect(found.store.writable).toBe(false);
		expect(codesOf(found)).toContain('STORE_UNWRITABLE');
	});
});

const login = { username: 'alice', password: 'canary-3f9c-password' };

function authFile(workspace: Workspace, { host }: TestRegistry, password: string): Record<string, string> {
	const auth = Buffer.from(`${login.username}:${password}`).toString('base64');
	const path = join(workspace.root, 'auth.json');
	writeFileSync(path, JSON.stringify({ auths: { [host]: { auth } } }));
	return { REGISTRY_AUTH_FILE: path };
}

describe('a registry', () => {
	test.each([
		['Basic', { basic: login }],
		['Bearer', { bearer: login }],
	])('with %s authorization tells who we are, and what we may; nothing is left there', async (_scheme, faults) => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry({ ...faults, mount: 'accept' })];
		const env = authFile(workspace, registry, login.password);
		const blobs = [...registry.blobs.keys()];
		const found = await examine(workspace, [`${registry.host}/builders/tiny`, registry.host], { env });
		expect(found.status).toBe(0);
		expect(found.registries).toMatchObject([
			{ reachable: true, login: { user: 'alice', accepted: 'yes' }, pull: 'yes', push: 'yes', mount: 'yes', ok: true },
			{ reachable: true, login: { user: 'alice', accepted: 'yes' }, pull: 'unknown', push: 'unknown', ok: true },
		]);
		expect(JSON.stringify(found)).not.toMatch(/canary|YWxpY2U/);
		expect([...registry.blobs.keys()]).toEqual(blobs);
		const uploads = registry.requests.filter(({ path }) => path.includes('/blobs/uploads/'));
		const begun = uploads.filter(({ method, path }) => method === 'POST' && !path.includes('mount='));
		expect(uploads.filter(({ method }) => method === 'DELETE').length).toBeGreaterThan(0);
		expect(begun.length).toBeGreaterThan(0);
	});

	test('that refuses the password makes the status 3', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry({ basic: login })];
		const env = authFile(workspace, registry, 'canary-wrong');
		const found = await examine(workspace, [`${registry.host}/builders/tiny`], { env });
		expect(found.status).toBe(3);
		expect(found.registries).toMatchObject([{ reachable: true, login: { user: 'alice', accepted: 'no' }, ok: false }]);
		expect(codesOf(found)).toContain('REGISTRY_LOGIN');
		expect(JSON.stringify(found)).not.toMatch(/canary|YWxpY2U/);
	});

	test('without the image can be a target', async () => {
		const registry = await emptyRegistry({ mount: 'refuse' });
		const found = await examine(makeWorkspace(), [`${registry.host}/team/app:1`]);
		expect(found.status).toBe(0);
		expect(found.registries).toMatchObject([{ pull: 'unknown', push: 'yes', mount: 'unknown', ok: true }]);
		expect(registry.requests.filter(({ method }) => method === 'DELETE')).toHaveLength(1);
	});

	test('that does not mount says so', async () => {
		const registry = await tinyRegistry({ mount: 405 });
		const found = await examine(makeWorkspace(), [`${registry.host}/builders/tiny`]);
		expect(found.registries).toMatchObject([{ pull: 'yes', push: 'yes', mount: 'no', ok: true }]);
	});

	test('that is not there makes the status 3', async () => {
		const found = await examine(makeWorkspace(), ['127.0.0.1:9']);
		expect(found.status).toBe(3);
		expect(found.registries).toMatchObject([{ reachable: false, findings: ['REGISTRY_UNREACHABLE'], ok: false }]);
	});

	test('with an unknown certificate is told from one that is not there', async (context) => {
		requirePrograms(context, 'openssl');
		const address = Object.values(networkInterfaces())
			.flat()
			.find((each) => each?.internal === false && each.family === 'IPv4')?.address;
		needs(context, address !== undefined, 'there is no network interface but loopback');
		const workspace = makeWorkspace();
		const server = selfSigned(workspace, address);
		await new Promise<void>((resolve) => server.listen(0, address, resolve));
		onTestFinished(() => void server.close());
		const host = `${address}:${(server.address() as AddressInfo).port}`;
		const found = await examine(workspace, [host]);
		expect(found.status).toBe(3);
		expect(found.registries).toMatchObject([{ reachable: false, findings: ['REGISTRY_TLS'] }]);
		const trusting = await examine(workspace, [host, '--ca-bundle', join(workspace.root, 'ca.pem')]);
		expect(trusting.registries).toMatchObject([{ reachable: true }]);
	});
});

test('what is neither a registry nor an image on one is a usage error', async () => {
	const { status, stderr, stdout } = await s2oci(makeWorkspace(), ['doctor', 'oci:/tmp/layout']);
	expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
	expect(stderr).toContain('neither a registry nor an image');
});

function selfSigned({ root }: Workspace, address: string): Server {
	const [certificate, key] = [join(root, 'ca.pem'), join(root, 'key.pem')];
	const subject = ['-subj', '/CN=test authority', '-addext', `subjectAltName=IP:${address}`];
	const options = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject];
	execFileSync('openssl', ['req', ...options, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
	return createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (_request, response) => {
		response.writeHead(200).end();
	});
}
