import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { emptyHome, inScripts } from './shell.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
/** Kept apart, so that this file does not name what no file may name. */
const HOSTS = [
	['registry', 'npmjs', 'org'],
	['deb', 'debian', 'org'],
	['archive', 'ubuntu', 'com'],
].map((words) => words.join('.'));

/** PATH with an `id` that says we are not root. */
function pathOfPlainUser(): string {
	const directory = emptyHome();
	writeFileSync(join(directory, 'id'), '#!/bin/sh\necho 1000\n');
	chmodSync(join(directory, 'id'), 0o755);
	return `${directory}:/usr/bin:/bin`;
}

test('a plain user is given one line that installs all that is missing, each package once', async () => {
	const command =
		'need sh nosuchprogram mkfs.nosuch nosuchprogram; need_file /proc/none some-keyring; need_library libno.so.1 libno1; install_missing';
	const { stderr, status } = await inScripts(command, { PATH: pathOfPlainUser() });
	const lines = stderr.split('\n').filter((line) => line.includes('apt-get'));
	expect(lines.map((line) => line.trim())).toEqual([
		'apt-get update && apt-get install -y --no-install-recommends nosuchprogram mkfs.nosuch some-keyring libno1',
	]);
	expect(status).toBe(1);
});

test('programs are found where the PATH of a user does not look', async () => {
	const { stdout } = await inScripts('command -v useradd', { PATH: '/usr/bin:/bin' });
	expect(stdout).toBe('/usr/sbin/useradd');
});

test('a failed build is not taken for a build the next time', async () => {
	const home = emptyHome();
	const npm = join(home, 'npm');
	writeFileSync(npm, '#!/bin/sh\nmkdir -p dist && exit 1\n', { mode: 0o755 });
	const command = `cd '${home}' && mkdir src && touch package.json tsconfig.build.json && require_build || echo failed`;
	const { stdout } = await inScripts(command, { PATH: `${home}:/usr/bin:/bin` });
	expect(stdout).toBe('failed');
	expect(existsSync(join(home, 'dist'))).toBe(false);
});

test('no script, lock file and test data names a mirror or a registry', async () => {
	const { stdout } = await inScripts('find scripts testdata .ci .npmrc package.json package-lock.json -type f');
	const files = stdout.split('\n');
	expect(files).toContain('scripts/make-builder');
	const naming = files.filter((file) => HOSTS.some((host) => readFileSync(join(ROOT, file), 'utf8').includes(host)));
	expect(naming).toEqual([]);
});
