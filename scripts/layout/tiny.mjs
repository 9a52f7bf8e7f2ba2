// A builder image of one static busybox: node tiny.mjs BUSYBOX SCRIPTS DEST
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeImage } from './image.mjs';
import {
	APPLICATION_ROOT,
	builderConfig,
	directory,
	executables,
	file,
	hardLink,
	PASSWD_ENTRY,
	packEntries,
	symlink,
	whiteout,
} from './s2i.mjs';

const root = { uid: 0, mode: 0o755 };
const [busybox, scripts, destination] = process.argv.slice(2);

const digest = await writeImage(destination, {
	config: builderConfig({ name: 'Tiny', description: 'Copies files, for tests' }),
	layers: [
		{ comment: 'busybox', tar: packEntries(system()) },
		{ comment: 'runtime', tar: packEntries(runtime()) },
		{ comment: 's2i scripts', tar: packEntries(s2i()) },
		{ comment: 'clean-up', tar: packEntries(cleanUp()) },
	],
});
process.stdout.write(`${digest}\n`);

function system() {
	const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n');
	return [
		directory('bin', root),
		file('bin/busybox', readFileSync(busybox), 0o755),
		hardLink('bin/sh', 'bin/busybox'),
		...applets.filter((name) => !['busybox', 'sh'].includes(name)).map((name) => symlink(`bin/${name}`, 'busybox')),
		directory('etc', root),
		file('etc/group', 'root:x:0:\n'),
		file('etc/motd', 'This file is removed by a later layer.\n'),
		file('etc/passwd', `root:x:0:0:root:/root:/bin/sh\n${PASSWD_ENTRY}`),
		directory('root', { uid: 0, mode: 0o700 }),
		directory('tmp', { uid: 0, mode: 0o1777 }),
		directory('usr', root),
		directory('usr/bin', root),
		symlink('usr/bin/env', '../../bin/busybox'),
		directory('usr/share', root),
		directory('usr/share/old', root),
		file('usr/share/old/hidden', 'An opaque whiteout hides this file.\n'),
		directory('var', root),
		directory('var/empty', root),
	];
}

function runtime() {
	return [
		directory('etc', root),
		whiteout('etc/motd'),
		...APPLICATION_ROOT,
		directory('usr', root),
		directory('usr/share', root),
		directory('usr/share/old', root),
		file('usr/share/old/.wh..wh..opq', ''),
		file('usr/share/old/shown', 'This file is in the layer of the opaque whiteout.\n'),
		directory('usr/share/tiny', { mode: 0o775 }),
		{ ...file('usr/share/tiny/removed-by-assemble', 'assemble removes this file.\n'), uid: 1001 },
		file('usr/share/tiny/setgid', '#!/bin/sh\n', 0o2755),
	];
}

function s2i() {
	return [
		directory('usr', root),
		directory('usr/libexec', root),
		directory('usr/libexec/s2i', root),
		...executables(scripts, 'usr/libexec/s2i'),
	];
}

function cleanUp() {
	return [directory('var', root), whiteout('var/empty')];
}
