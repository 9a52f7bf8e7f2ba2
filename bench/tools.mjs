// The two tools: each builds the sample application with the same builder and pushes it to the same registry.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runAs } from './user.mjs';

const CA_PATH = '/tmp/ca-bundle.pem';

/** s2oci. `build(store, tag, { memory })` -> `{ ms, peak, result }`, `result` as `--result-file` says. */
export function openS2oci({ checkout, user, registry, builder, application, caBundle }) {
	return {
		name: 's2oci',
		async build(store, tag, { memory = false } = {}) {
			const resultFile = join(user.directory, 'result.json');
			const argv = [
				...[process.execPath, join(checkout, 'bin/s2oci.js'), 'build', application, builder],
				...[`${registry}/bench/s2oci:${tag}`, '--store', store, '--result-file', resultFile],
				...(caBundle === undefined ? [] : ['--ca-bundle', caBundle]),
			];
			const measured = await runAs(user, argv, { memory });
			return { ...measured, result: JSON.parse(readFileSync(resultFile, 'utf8')) };
		},
	};
}

/** buildah: pull, `bud --layers=false`, push, with the overlay driver and chroot isolation. */
export function openBuildah({ user, registry, builder, application, caBundle }) {
	const context = join(user.directory, 'context');
	mkdirSync(context);
	cpSync(application, join(context, 'src'), { recursive: true });
	writeFileSync(join(context, 'Dockerfile'), dockerfile(builder));
	const volume = caBundle === undefined ? [] : ['-v', `${caBundle}:${CA_PATH}:ro`];
	const argument = caBundle === undefined ? [] : ['--build-arg', `NODE_EXTRA_CA_CERTS=${CA_PATH}`];
	return {
		name: 'buildah',
		async build(store, tag) {
			const image = `${registry}/bench/buildah:${tag}`;
			const options = ['--root', join(store, 'root'), '--runroot', join(store, 'run'), '--storage-driver', 'overlay'];
			const buildah = (...args) =>
				runAs(user, ['buildah', ...options, ...args], { env: { BUILDAH_ISOLATION: 'chroot' } });
			const bud = ['bud', '--layers=false', '--tls-verify=false', ...volume, ...argument, '-t', image, context];
			const pull = await buildah('pull', '--policy=missing', '--tls-verify=false', builder);
			const build = await buildah(...bud);
			const push = await buildah('push', '--tls-verify=false', image);
			return { ms: pull.ms + build.ms + push.ms };
		},
	};
}

const dockerfile = (builder) => `FROM ${builder}
ARG NODE_EXTRA_CA_CERTS
USER root
COPY --chown=1001:0 src /tmp/src
USER 1001
RUN /usr/libexec/s2i/assemble
CMD ["/usr/libexec/s2i/run"]
`;
