import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { HostBind } from '../../../src/protocol/host-bind.js';
import type { SandboxName } from '../../../src/sandbox/sandboxes.js';
import { lacking, listTree } from '../../support/fs.js';
import { skipFor } from '../../support/needs.js';
import { tarSymlink } from '../../support/tar.js';
import { busyboxLayer, openSessions, type SessionStore, type User, withoutUser } from '../worker/session.js';

const LAYER = busyboxLayer();
const SANDBOXES: readonly SandboxName[] = ['bwrap', 'runc', 'crun', 'chroot'];
const USERS: readonly User[] = ['ourselves', 's2oci-subuid', 's2oci-plain'];

const combinations = USERS.flatMap((user) => SANDBOXES.map((sandbox) => [user, sandbox] as const));

/** A directory of the host as Kubernetes mounts a secret, with a script, in a directory that only its owner can enter. */
function hostDirectory(sessions: SessionStore): string {
	const { uid, gid } = statSync(sessions.path);
	const closed = join(sessions.path, 'closed');
	const host = join(closed, 'host');
	mkdirSync(join(host, '..2024', '.git'), { recursive: true });
	writeFileSync(join(host, '..2024', 'password'), 'canary');
	chmodSync(join(host, '..2024', 'password'), 0o400);
	writeFileSync(join(host, 'script'), '#!/bin/sh\necho script ran\n');
	chmodSync(join(host, 'script'), 0o755);
	symlinkSync('..2024', join(host, '..data'));
	symlinkSync('..data/password', join(host, 'password'));
	const names = ['..', '', '..2024', '..2024/.git', '..2024/password', 'script'];
	for (const name of names) chownSync(join(host, name), uid, gid);
	chmodSync(closed, 0o700);
	return host;
}

const copyOf = (path: string, destination: string, type: HostBind['type'] = 'directory'): HostBind => ({
	source: { type: 'copy', path },
	destination,
	type,
	readOnly: true,
});
const itself = (path: string, destination: string, readOnly: boolean): HostBind => ({
	source: { type: 'itself', path },
	destination,
	type: 'directory',
	readOnly,
});

describe.each(combinations)('what the host shows a process of %s in %s', (user, sandbox) => {
	const reason = withoutUser(user) ?? lacking(sandbox, 'unshare', 'setpriv');
	const plan = { layers: [LAYER], sandboxes: [sandbox], pack: {} };

	test('as a copy keeps modes and links, can be read by assemble and written by nobody', async (context) => {
		skipFor(context, reason);
		using sessions = openSessions(user);
		const host = hostDirectory(sessions);
		const before = listTree(host);
		const script = [
			'cat secret/password; echo; readlink secret/..data; secret/script',
			'ls -a secret',
			'echo x > secret/new || echo read-only; rm secret/script || echo kept',
			'ls -a secret/..2024; echo mine > own',
		].join('\n');
		const { stdout, error, left } = await sessions.run({ ...plan, script, binds: [copyOf(host, '/opt/app/secret')] });
		expect(error).toBeUndefined();
		expect(stdout).toBe(
			'canary\n..2024\nscript ran\n.\n..\n..2024\n..data\npassword\nscript\nread-only\nkept\n.\n..\npassword\n',
		);
		expect(listTree(host)).toEqual(before);
		expect(left).toEqual([]);
		expect(sessions.packed().map(({ entry }) => entry.path)).toEqual(['opt/', 'opt/app/', 'opt/app/own']);
	});

	test('as itself is written in place unless it is read-only, and leaves no trace in the layer', async (context) => {
		skipFor(context, reason);
		using sessions = openSessions(user);
		const host = hostDirectory(sessions);
		chmodSync(host, 0o777);
		const binds = [itself(host, '/var/cache/deep/rw', false), itself(host, '/ro', true)];
		const script = 'echo kept > /var/cache/deep/rw/written; echo x > /ro/refused || cat /ro/written; echo > own';
		const { stdout, error, left } = await sessions.run({ ...plan, script, binds });
		expect(error).toBeUndefined();
		expect(stdout).toBe('kept\n');
		expect(readFileSync(join(host, 'written'), 'utf8')).toBe('kept\n');
		expect(left).toEqual([]);
		expect(sessions.packed().map(({ entry }) => entry.path)).toEqual(['opt/', 'opt/app/', 'opt/app/own']);
	});

	test('as content is a file of assemble’s own that nobody else can read', async (context) => {
		skipFor(context, reason);
		using sessions = openSessions(user);
		const base64 = Buffer.from('canary').toString('base64');
		const secret: HostBind = {
			source: { type: 'content', base64, mode: 0o400 },
			destination: '/run/secrets/token',
			type: 'file',
			readOnly: true,
		};
		const script = 'cat /run/secrets/token; stat -c " %a" /run/secrets/token; test -O /run/secrets/token && echo mine';
		const { stdout, error } = await sessions.run({ ...plan, script, binds: [secret] });
		expect(error).toBeUndefined();
		expect(stdout).toBe('canary 400\nmine\n');
		expect(sessions.packed()).toEqual([]);
	});
});

describe('what cannot be shown', () => {
	const run = async (binds: (host: string) => readonly HostBind[]) => {
		using sessions = openSessions();
		const host = hostDirectory(sessions);
		return (await sessions.run({ layers: [LAYER], script: 'echo ran', binds: binds(host) })).error;
	};

	test('is a mount in a mount, for which a sandbox would make a directory on the host', async () => {
		const error = await run((host) => [itself(host, '/data', false), copyOf(host, '/data/inner')]);
		expect(error).toMatchObject({
			code: 'USAGE',
			message: expect.stringContaining('/data/inner is in /data') as string,
		});
	});

	test('is too much to copy', async () => {
		using sessions = openSessions();
		const host = hostDirectory(sessions);
		for (let index = 0; index < 10_000; index++) writeFileSync(join(host, `${index}`), '');
		const { error } = await sessions.run({ layers: [LAYER], script: 'echo ran', binds: [copyOf(host, '/data')] });
		expect(error).toMatchObject({ code: 'USAGE', message: expect.stringContaining('10,000 entries') as string });
	});

	test.each(['/proc/self', '/dev/x', '/sys', '/', '/link/x'])('is anything at %s', async (destination) => {
		using sessions = openSessions();
		const layers = [busyboxLayer(tarSymlink('link', '/proc'))];
		const binds = [copyOf(hostDirectory(sessions), destination)];
		const { error } = await sessions.run({ layers, script: 'echo ran', binds });
		expect(error).toMatchObject({ code: 'IMAGE_UNSUPPORTED' });
	});
});
