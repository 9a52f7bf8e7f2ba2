import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { needs } from '../../support/needs.js';
import { emptyHome, inScripts } from './shell.js';

const INDEXES = ['all', 'amd64', 'arm64'].map((name) => `main/binary-${name}/Packages`);
const PACKAGES = 'Package: nothing\nVersion: 1\nArchitecture: all\nFilename: nothing.deb\n';
const SUM = createHash('sha256').update(PACKAGES).digest('hex');
const RELEASE = [
	...['Origin: Debian', 'Label: Debian', 'Suite: oldstable', 'Codename: bookworm', 'Components: main'],
	...['Architectures: all amd64 arm64', 'Date: Sat, 01 Feb 2025 00:00:00 UTC', 'SHA256:'],
	...INDEXES.map((name) => ` ${SUM} ${PACKAGES.length} ${name}`),
];

/** An apt that is configured to a mirror in a directory, by `sources`, in which @MIRROR@ stands for it. */
function aptOf(
	sources: string,
	name = 'sources.list',
	settings = '',
): { readonly mirror: string; readonly APT_CONFIG: string } {
	const home = emptyHome();
	const mirror = join(home, 'mirror');
	const write = (path: string, text: string): void => {
		mkdirSync(dirname(path), { recursive: true });
		writeFileSync(path, text);
	};
	for (const index of INDEXES) write(join(mirror, 'dists/bookworm', index), PACKAGES);
	write(join(mirror, 'dists/bookworm/Release'), `${RELEASE.join('\n')}\n`);
	for (const directory of ['etc/apt.conf.d', 'etc/sources.list.d', 'lists/partial'])
		mkdirSync(join(home, directory), { recursive: true });
	write(join(home, 'etc', name), sources.replaceAll('@MIRROR@', `file:${mirror}`));
	const config = join(home, 'apt.conf');
	write(config, `Dir::Etc "${home}/etc";\nDir::State::lists "${home}/lists";\n${settings}`);
	return { mirror, APT_CONFIG: config };
}

describe('the mirror of apt', () => {
	test.for([
		['sources.list', 'deb [trusted=yes] @MIRROR@ bookworm main\n'],
		['sources.list.d/debian.sources', 'Types: deb\nURIs: @MIRROR@\nSuites: bookworm\nComponents: main\nTrusted: yes\n'],
	])('is found in %s, without lists and without being root', async ([name = '', sources = ''], context) => {
		needs(context, /^ID=debian$/m.test(readFileSync('/etc/os-release', 'utf8')), 'this is not Debian');
		const { mirror, APT_CONFIG } = aptOf(sources, name);
		const { stdout, stderr } = await inScripts('debian_mirror', { APT_CONFIG });
		expect(stdout.replace(/\/$/, ''), stderr).toBe(`file:${mirror}`);
	});
});

test('settings for the network go on to another system, and others do not', async () => {
	const settings =
		'Acquire::http::Proxy "http://127.0.0.1:3142";\nAcquire::https::CaInfo "/etc/ca.crt";\nAPT::Install-Recommends "true";\n';
	const { APT_CONFIG } = aptOf('', 'sources.list', settings);
	const target = emptyHome();
	await inScripts(`copy_apt_settings '${target}'`, { APT_CONFIG });
	const lines = readFileSync(join(target, 'apt.conf.d/00host'), 'utf8').split('\n');
	expect(lines).toContain('Acquire::http::Proxy "http://127.0.0.1:3142";');
	expect(lines).toContain('Acquire::https::CaInfo "/etc/ca.crt";');
	expect(lines.filter((line) => !/^(Acquire::.*;)?$/.test(line))).toEqual([]);
});
