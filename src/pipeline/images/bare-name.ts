import { BuildError, isBuildError } from '../../errors.js';

/** What `name`, which names no registry, means. */
export function whatBareMeans(name: string): string {
	return `${name} names no registry, which means Docker Hub (docker.io)`;
}

/**
 * `error` of an image that was named `bare`, without a registry: one of registries also says where such names lead, and what else can be
 * written. Any other, or without `bare`, as it is.
 */
export function explainBare(error: unknown, bare: string | undefined): unknown {
	if (bare === undefined || !isBuildError(error) || !error.code.startsWith('REGISTRY_')) return error;
	const { code, message, hint, cause } = error;
	const places =
		`write its registry (registry.example/${bare}), a local engine (podman:${bare}, docker-daemon:${bare}), ` +
		'or the directory or archive that it is in (oci:DIR, oci-archive:FILE, docker-archive:FILE).';
	return new BuildError(code, `${message}; ${whatBareMeans(bare)}`, {
		hint: `If the image is elsewhere, ${places}${hint === undefined ? '' : ` Else: ${hint}`}`,
		cause,
	});
}
