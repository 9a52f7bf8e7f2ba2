// A build in place (rung 6): in a changed root directory that is the builder, as a user who gets no namespaces.
import { execFileSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Any user of OpenShift: a uid that nobody knows, in group 0. */
const JOB_USER = '100001:0';
const ENTER = `set -eu
root=$1/root; out=$1; node=$2; user=$3; shift 3
while [ "$1" != -- ]; do mkdir -p "$root$1"; mount --bind "$1" "$root$1"; shift; done
shift
for each in /proc /dev; do mkdir -p "$root$each"; mount --rbind "$each" "$root$each"; done
mkdir -p "$root$(dirname "$node")"; touch "$root$node"; mount --bind "$node" "$root$node"
cd /
chroot --userspec="$user" "$root" "$node" "$@"
cp "$root/tmp/result.json" "$out/"`;

/** What a runner has done before: the container is there. */
export function unpackJob({ builder, directory }) {
	if (process.getuid() !== 0)
		throw new Error('only root can make the root directory of the job; run the benchmark as root');
	const words = ['raw', 'unpack', '--image', `${builder.layout}:latest`, join(directory, 'root')];
	execFileSync('umoci', words, { stdio: 'pipe' });
}

/** The runner brings Node.js and s2oci as mounts, at the paths that they have here. */
export function inPlace({ checkout, host, builder, source, image, directory }) {
	const build = [
		'build',
		source,
		`${host}/${builder.repository}:latest`,
		image,
		'--copy',
		'--quiet',
		'--reuse',
		'never',
	];
	const options = ['--rootfs', 'in-place', '--isolation', 'none', '--result-file', '/tmp/result.json'];
	const program = [join(checkout, 'bin/s2oci.js'), ...build, ...options];
	const mounts = [checkout, realpathSync(join(checkout, 'node_modules')), source, ...librariesOf(process.execPath)];
	const words = [directory, process.execPath, JOB_USER, ...new Set(mounts), '--', ...program];
	return [
		{
			argv: ['unshare', '--mount', 'sh', '-c', ENTER, 'sh', ...words],
			isRoot: true,
			env: { HOME: '/', TMPDIR: '/tmp' },
		},
	];
}

function librariesOf(program) {
	const libraries = execFileSync('ldd', [program], { encoding: 'utf8' }).match(/\/\S+(?= \()/g) ?? [];
	return libraries.map(dirname);
}
