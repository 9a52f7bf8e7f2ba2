import { join } from 'node:path';

/**
 * The words of `podman run` up to its own options, for a container with the defaults of podman and the network of this machine. podman keeps
 * what it needs in `own`, a directory of the test.
 */
export function podmanRun(own: string): readonly string[] {
	return [
		...['podman', '--root', join(own, 'podman'), '--runroot', join(own, 'r'), '--storage-driver', 'vfs'],
		...['--runtime', 'runc', '--cgroup-manager', 'cgroupfs', '--events-backend', 'none', 'run', '--rm', '--quiet'],
		...['--ulimit', 'nofile=4096:4096', '--ulimit', 'nproc=8192:8192', '--network', 'host'],
	];
}
