// What every builder image has in common: the S2I scripts, the user that runs them, and the image configuration.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CREATED } from './image.mjs';
import { END_OF_ARCHIVE, packEntry } from './tar.mjs';

const SCRIPTS = '/usr/libexec/s2i';
const SCRIPTS_URL = `image://${SCRIPTS}`;
const HOME = '/opt/app-root/src';
const PATH = `${HOME}/bin:/opt/app-root/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;

/** The user that builds and runs applications: uid 1001 in group 0, as OpenShift expects. */
export const PASSWD_ENTRY = 'default:x:1001:0:Default Application User:/opt/app-root/src:/sbin/nologin\n';

/** The `config` object of a builder image's configuration. */
export function builderConfig({ name, description }) {
	return {
		User: '1001',
		ExposedPorts: { '8080/tcp': {} },
		Env: [
			`PATH=${PATH}`,
			`HOME=${HOME}`,
			'APP_ROOT=/opt/app-root',
			'LANG=C.UTF-8',
			`STI_SCRIPTS_PATH=${SCRIPTS}`,
			`STI_SCRIPTS_URL=${SCRIPTS_URL}`,
		],
		Cmd: [`${SCRIPTS}/usage`],
		WorkingDir: HOME,
		Labels: {
			'io.openshift.s2i.scripts-url': SCRIPTS_URL,
			'io.s2i.scripts-url': SCRIPTS_URL,
			'io.k8s.display-name': name,
			'io.k8s.description': description,
			'io.openshift.expose-services': '8080:http',
			'io.openshift.tags': `builder,${name.toLowerCase()}`,
		},
	};
}

/** The directories applications live in: owned by the default user, writable for group 0. */
export const APPLICATION_ROOT = [
	directory('opt', { uid: 0, mode: 0o755 }),
	directory('opt/app-root'),
	directory('opt/app-root/bin'),
	directory('opt/app-root/src'),
];

/** The files of a host directory as executables in `target` of the image. */
export function executables(source, target) {
	return readdirSync(source)
		.sort()
		.map((name) => file(`${target}/${name}`, readFileSync(join(source, name)), 0o755));
}

/** A regular file owned by root. */
export function file(name, content, mode = 0o644) {
	return { name, type: '0', mode, content: Buffer.from(content) };
}

/** A directory, of the default user unless told otherwise. */
export function directory(name, { uid = 1001, mode = 0o775 } = {}) {
	return { name, type: '5', mode, uid };
}

/** A symbolic link owned by root. */
export function symlink(name, target) {
	return { name, type: '2', mode: 0o777, target };
}

/** A hard link to an earlier entry of the same layer. */
export function hardLink(name, target) {
	return { name, type: '1', mode: 0o755, target };
}

/** What removes `name` from the layers below (image-spec, layer.md, whiteouts). */
export function whiteout(name) {
	return file(name.replace(/[^/]*$/, '.wh.$&'), '', 0o644);
}

/** Entries as tar bytes, with the end-of-archive blocks. */
export function* packEntries(entries) {
	const mtime = CREATED.getTime() / 1000;
	for (const entry of entries) {
		yield packEntry({ mtime, ...entry, name: entry.type === '5' ? `${entry.name}/` : entry.name });
	}
	yield END_OF_ARCHIVE;
}
