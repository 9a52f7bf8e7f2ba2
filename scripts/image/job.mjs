// Makes the image for jobs: node job.mjs oci:DIR[:REF] DEBIAN.tar S2OCI.tar SUITE
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { copyTar, directory, file, symlink, tarOf } from './layer.mjs';
import { writeImage } from './write.mjs';

const USER = { name: 's2oci', uid: 1000 };
const HOME = `home/${USER.name}`;
const STORE = 'var/lib/s2oci';
/** What the kernel takes for the right of each program (capabilities(7), VFS_CAP_REVISION_2 with the effective bit). */
const RIGHTS = new Map([
	['usr/bin/newuidmap', capability(7)],
	['usr/bin/newgidmap', capability(6)],
]);
/** Ids of every container, also of one that has 65536 of them, but those of root and of the user. */
const RANGES = `${USER.name}:1:${USER.uid - 1}\n${USER.name}:${USER.uid + 1}:${65535 - USER.uid}\n`;
const FILES = new Map([
	['etc/passwd', (text) => `${text}${USER.name}:x:${USER.uid}:${USER.uid}::/${HOME}:/bin/bash\n`],
	['etc/group', (text) => `${text}${USER.name}:x:${USER.uid}:\n`],
	['etc/subuid', () => RANGES],
	['etc/subgid', () => RANGES],
]);
/** Of the machine that made it, or of the moment. */
const ELSEWHERE = /^(?:dev\/.|etc\/(?:resolv\.conf|hostname|machine-id)$|etc\/apt\/sources\.list)/;
const MOMENT = /^var\/(?:log|cache|lib\/apt\/lists)\//;

const [place, debian, archive, suite] = process.argv.slice(2);
await writeImage(place, {
	title: 's2oci',
	description: 'Builds images from source code and S2I builder images, without a daemon',
	config: {
		Env: [
			'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
			`HOME=/${HOME}`,
			`S2OCI_STORE=/${STORE}`,
		],
		Entrypoint: ['/usr/local/bin/s2oci-entrypoint'],
		Cmd: ['--help'],
		// Rather a volume than the root directory of the container, on which no overlay can be.
		Volumes: { [`/${STORE}`]: {} },
	},
	layers: [
		{
			comment: `Debian ${suite} with git, runc, bubblewrap and newuidmap`,
			tar: tarOf(copyTar(debian, change), users()),
		},
		{
			comment: 's2oci',
			tar: tarOf(
				copyTar(archive, (entry) => ({ ...entry, path: `opt/${entry.path}` })),
				command(),
			),
		},
	],
});

function change(entry) {
	const { path, type, mode } = entry;
	if (FILES.has(path) || ELSEWHERE.test(path) || (type !== 'directory' && MOMENT.test(path))) return undefined;
	const right = RIGHTS.get(path);
	return right === undefined
		? entry
		: { ...entry, mode: mode & 0o777, xattrs: new Map([['security.capability', right]]) };
}

/** The user, whose home and store any other user may use as well. */
function* users() {
	for (const [path, make] of FILES) yield* file(path, make(read(path)));
	yield* directory(HOME, { uid: USER.uid, mode: 0o1777 });
	yield* directory(STORE, { mode: 0o1777 });
}

function read(path) {
	return execFileSync('tar', ['-xOf', debian, `./${path}`], { encoding: 'utf8' });
}

function* command() {
	yield* symlink('usr/local/bin/s2oci', '/opt/s2oci/bin/s2oci');
	yield* file('usr/local/bin/s2oci-entrypoint', readFileSync(new URL('entrypoint', import.meta.url)), 0o755);
}

function capability(number) {
	const bytes = Buffer.alloc(20);
	bytes.writeUInt32LE(0x02000001, 0);
	bytes.writeUInt32LE(1 << number, 4);
	return bytes;
}
