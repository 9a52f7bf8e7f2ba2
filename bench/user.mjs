// The one unprivileged user that both tools run as, and its working directory.
import { execFileSync, spawn } from 'node:child_process';
import { accessSync, constants, existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { sampleMemory } from './memory.mjs';

const TEST_USER = 's2oci-subuid';
const LIMIT_MS = 10 * 60_000;
const running = new Set();

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
	process.once(signal, () => {
		for (const pid of running) endGroup(pid);
		process.exit(130);
	});
}

/**
 * The current user, or, for root, the test user (made when it is missing), with a new directory in `parent`. Throws when it has no subuid
 * range.
 */
export function openUser(checkout, parent) {
	const isRoot = process.getuid() === 0;
	if (isRoot) execFileSync(join(checkout, 'scripts/test-users'), { stdio: 'inherit' });
	const name = isRoot ? TEST_USER : userInfo().username;
	const ranges = existsSync('/etc/subuid') ? readFileSync('/etc/subuid', 'utf8') : '';
	if (!new RegExp(`^(?:${name}|${process.getuid()}):`, 'm').test(ranges)) {
		const fix = `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${name}`;
		throw new Error(`${name} has no range in /etc/subuid. Run as root, or give it one: ${fix}`);
	}
	const [uid, gid, home] = identity(name);
	const prefix = isRoot ? ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--init-groups'] : [];
	const directory = mkdtempSync(join(parent ?? (isRoot ? home : tmpdir()), 's2oci-bench-'));
	if (isRoot) execFileSync('chown', [`${uid}:${gid}`, directory]);
	return { name, directory, home, prefix };
}

function identity(name) {
	const fields = execFileSync('getent', ['passwd', name], { encoding: 'utf8' }).trim().split(':');
	return [fields[2], fields[3], fields[5]];
}

/** Runs a command as the user, in its directory; returns `{ ms, peak }`. Throws with its output when it fails or hangs. */
export async function runAs(user, argv, { env = {}, memory = false } = {}) {
	const [file, ...args] = [...user.prefix, ...argv];
	const started = performance.now();
	const child = spawn(file, args, {
		cwd: user.directory,
		detached: true,
		env: { PATH: process.env.PATH, HOME: user.home, XDG_RUNTIME_DIR: user.directory, TMPDIR: user.directory, ...env },
		stdio: ['ignore', 'pipe', 'pipe'],
	});
	running.add(child.pid);
	const limit = setTimeout(() => endGroup(child.pid), LIMIT_MS);
	const stop = memory ? sampleMemory(child.pid) : () => undefined;
	try {
		await finished(child, argv);
		return { ms: performance.now() - started, peak: stop() };
	} finally {
		clearTimeout(limit);
		stop();
		running.delete(child.pid);
	}
}

function finished(child, argv) {
	let output = '';
	for (const stream of [child.stdout, child.stderr]) {
		stream.setEncoding('utf8').on('data', (text) => {
			output = (output + text).slice(-4000);
		});
	}
	return new Promise((resolve, reject) => {
		child.once('error', (error) => reject(new Error(`cannot run ${argv[0]}: ${error.message}`)));
		child.once('close', (code, signal) => {
			if (code === 0) resolve();
			else reject(new Error(`${argv.slice(0, 4).join(' ')} ended with ${signal ?? `exit status ${code}`}:\n${output}`));
		});
	});
}

function endGroup(pid) {
	try {
		process.kill(-pid, 'SIGKILL');
	} catch {
		// It has ended already.
	}
}

/** Throws when the user cannot read the checkout, as in a home directory that is closed to others. */
export async function requireReadable(user, checkout) {
	accessSync(join(checkout, 'bin/s2oci.js'), constants.R_OK);
	await runAs(user, ['test', '-r', join(checkout, 'bin/s2oci.js')]).catch(() => {
		throw new Error(`${user.name} cannot read ${checkout}; move the checkout to where every user can read it`);
	});
}
