// The one unprivileged user that all tools run as, and how a command of a run is started.
import { execFileSync, spawn } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { atEnd } from './cleanup.mjs';
import { sampleMemory } from './memory.mjs';

const TEST_USER = 's2oci-subuid';
const LIMIT_MS = 15 * 60_000;

/** The current user, or, for root, the test user, made when it is missing. Throws when it has no subuid range. */
export function openUser(checkout) {
	const isRoot = process.getuid() === 0;
	if (isRoot) execFileSync(join(checkout, 'scripts/test-users'), { stdio: 'inherit' });
	const name = isRoot ? TEST_USER : userInfo().username;
	const ranges = existsSync('/etc/subuid') ? readFileSync('/etc/subuid', 'utf8') : '';
	if (!new RegExp(`^(?:${name}|${process.getuid()}):`, 'm').test(ranges)) {
		const fix = `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${name}`;
		throw new Error(`${name} has no range in /etc/subuid. Run as root, or give it one: ${fix}`);
	}
	const [, , uid, gid, , home] = execFileSync('getent', ['passwd', name], { encoding: 'utf8' }).trim().split(':');
	const prefix = isRoot ? ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--init-groups'] : [];
	const user = { name, uid: Number(uid), gid: Number(gid), home, prefix };
	requireReadable(user, checkout);
	return user;
}

function requireReadable(user, checkout) {
	const program = join(checkout, 'bin/s2oci.js');
	accessSync(program, constants.R_OK);
	try {
		const [file, ...args] = [...user.prefix, 'test', '-r', program];
		execFileSync(file, args, { cwd: '/' });
	} catch {
		throw new Error(`${user.name} cannot read ${checkout}; move the checkout to where every user can read it`);
	}
}

/**
 * Runs commands one after the other as the user in `directory`, which is its HOME too: `[{ argv, env, isRoot }]`. `wrap` changes each
 * command line. Returns `{ ms, peak }`. Throws with the output of the command that fails or hangs.
 */
export async function runAll(user, directory, commands, { wrap = (argv) => argv, memory = false } = {}) {
	let peak = 0;
	const started = performance.now();
	for (const { argv, env, isRoot } of commands) {
		const full = wrap([...(isRoot ? [] : user.prefix), ...argv]);
		peak = Math.max(peak, await runOne(full, argv, { directory, env, memory }));
	}
	return { ms: performance.now() - started, ...(memory ? { peak } : {}) };
}

async function runOne([file, ...args], argv, { directory, env, memory }) {
	const places = { HOME: directory, TMPDIR: directory, XDG_RUNTIME_DIR: directory };
	const child = spawn(file, args, {
		cwd: directory,
		detached: true,
		env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin`, ...places, ...env },
		stdio: ['ignore', 'pipe', 'pipe'],
	});
	const forget = atEnd(() => endGroup(child));
	const limit = setTimeout(() => endGroup(child), LIMIT_MS);
	const stop = memory ? sampleMemory(child.pid) : () => 0;
	try {
		await finished(child, argv);
		return stop();
	} finally {
		stop();
		clearTimeout(limit);
		forget();
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
		child.once('exit', (code) => {
			if (code === 0) resolve();
		});
		child.once('close', (code, signal) => {
			if (code !== 0)
				reject(new Error(`${argv.slice(0, 4).join(' ')} ended with ${signal ?? `exit status ${code}`}:\n${output}`));
		});
	});
}

/** Only while the command runs: what it leaves in the background is waited for elsewhere. */
function endGroup(child) {
	if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGKILL');
}
