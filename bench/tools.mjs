// What each tool does in a run: lists of commands, all with the same builder, application and registry.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inPlace, unpackJob } from './in-place.mjs';

/** Root as in a plain container: it may not mount. */
const PLAIN_ROOT = ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-all'];
const NAMESPACE = ['unshare', '--map-root-user', '--map-auto'];

/**
 * By name: `programs` that must be there, `files` to be read before each run, and `commands(run)` for a run `{ checkout, host, builder,
 * source, image, directory, isUnchanged, isPlainRoot, options }`, where `image` is `HOST/NAME:TAG` and `directory` is empty before the first run.
 * `prepare(run)`, called before the clock starts, writes what the commands need.
 */
export const TOOLS = {
	s2oci: { programs: [], files: filesOfS2oci, commands: s2oci },
	buildah: {
		programs: ['buildah', 'newuidmap'],
		files: filesOf,
		prepare: writeContext,
		commands: buildah,
	},
	'in-place': {
		programs: ['umoci', 'unshare', 'chroot', 'ldd'],
		files: filesOfS2oci,
		prepare: unpackJob,
		commands: inPlace,
	},
	umoci: { programs: ['skopeo', 'umoci'], files: filesOf, commands: umoci },
	'curl-tar': { programs: ['curl', 'tar', 'gzip', 'unshare'], files: filesOf, commands: curlTar },
	native: { programs: ['tar', 'gzip', 'find', 'sha256sum'], files: filesOf, commands: native },
};

/** What is said of each tool beside its numbers. */
export const DESCRIPTIONS = {
	s2oci: '`s2oci build`: fetch, unpack, assemble, layer, push',
	buildah: '`buildah pull`, `bud`, `push` with the overlay driver and chroot isolation: the same work',
	'in-place': '`s2oci build` in a container that is the builder, as a user without namespaces',
	umoci: '`skopeo copy` to an OCI layout and `umoci unpack --rootless`: fetching and unpacking only',
	'curl-tar':
		'`curl | tar -xz` of the layers one after the other, in a user namespace: fetching and unpacking only, nothing verified',
	native: '`tar | tar`, `find`, `tar | gzip -5`, `sha256sum`, `rm` of the same files: no sandbox, no image',
};

function filesOfS2oci({ checkout }) {
	const packages = ['koffi', '@koromix'].map((name) => join(checkout, 'node_modules', name, '/'));
	return [process.execPath, join(checkout, 'dist'), ...packages, ...which('newuidmap', 'newgidmap', 'runc')];
}

function filesOf() {
	return which(...this.programs);
}

function which(...names) {
	const script = 'for name; do command -v "$name" || :; done';
	return execFileSync('sh', ['-c', script, 'sh', ...names], { encoding: 'utf8' })
		.trim()
		.split('\n');
}

function s2oci({ checkout, host, builder, source, image, directory, isUnchanged, isPlainRoot, options = [] }) {
	const words = ['build', source, `${host}/${builder.repository}:latest`, image, '--copy', '--quiet'];
	const own = ['--store', join(directory, 'store'), '--result-file', join(directory, 'result.json')];
	const reuse = isUnchanged ? [] : ['--reuse', 'never'];
	const argv = [process.execPath, join(checkout, 'bin/s2oci.js'), ...words, ...own, ...reuse, ...options];
	return [isPlainRoot ? { argv: [...PLAIN_ROOT, ...argv], isRoot: true } : { argv }];
}

function buildah({ host, builder, image, directory, isUnchanged }) {
	const storage = [
		'--root',
		join(directory, 'root'),
		'--runroot',
		join(directory, 'run'),
		'--storage-driver',
		'overlay',
	];
	const command = (...words) => ({ argv: ['buildah', ...storage, ...words], env: { BUILDAH_ISOLATION: 'chroot' } });
	return [
		command('pull', '--policy=missing', '--tls-verify=false', `${host}/${builder.repository}:latest`),
		command('bud', `--layers=${isUnchanged}`, '--tls-verify=false', '-t', image, join(directory, 'context')),
		command('push', '--tls-verify=false', image),
	];
}

function writeContext({ host, builder, source, directory, user }) {
	const context = join(directory, 'context');
	mkdirSync(context);
	cpSync(source, join(context, 'src'), { recursive: true });
	writeFileSync(join(context, 'Dockerfile'), dockerfile(`${host}/${builder.repository}:latest`));
	if (process.getuid() === 0) execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, context]);
}

const dockerfile = (builder) => `FROM ${builder}
USER root
COPY --chown=1001:0 src /tmp/src
USER 1001
RUN /tmp/src/.s2i/bin/assemble && rm -rf /tmp/src
CMD ["/usr/libexec/s2i/run"]
`;

function umoci({ host, builder, directory }) {
	const layout = join(directory, 'layout');
	const image = `docker://${host}/${builder.repository}:latest`;
	return [
		{ argv: ['skopeo', 'copy', '--quiet', '--src-tls-verify=false', image, `oci:${layout}:latest`] },
		{ argv: ['umoci', 'unpack', '--rootless', '--image', `${layout}:latest`, join(directory, 'bundle')] },
	];
}

/** Devices, which a user namespace may not make, are left out. */
const CURL_TAR = `set -eu
url=$1; root=$2; shift 2; mkdir "$root"
for digest; do curl -sfL "$url/$digest" | tar -xz -C "$root" --exclude='./dev/*' --exclude='dev/*'; done`;

function curlTar({ host, builder, directory }) {
	const url = `http://${host}/v2/${builder.repository}/blobs`;
	return [{ argv: [...NAMESPACE, 'sh', '-c', CURL_TAR, 'sh', url, join(directory, 'root'), ...builder.layers] }];
}

const NATIVE = `set -eu
mkdir "$1" && tar -C "$1" -xf "$2"
find "$1" -printf '%p %s %T@\\n' >/dev/null
tar -C "$1" -cf - . | gzip -5 | tee "$1.layer" | sha256sum >/dev/null
rm -rf "$1"`;

function native({ seed, directory }) {
	return [{ argv: ['sh', '-c', NATIVE, 'sh', join(directory, 'native'), join(seed, 'files.tar')] }];
}

/** What s2oci says of its last run in `directory`: `{ timings, rung, reused }`. */
export function readResult(directory) {
	return JSON.parse(readFileSync(join(directory, 'result.json'), 'utf8'));
}
