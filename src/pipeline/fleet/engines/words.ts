import { createHash } from 'node:crypto';
import { BuildError } from '../../../errors.js';
import type { Work } from './work.js';

/** The image in which an engine runs s2oci. Throws USAGE when nobody named it. */
export function jobImageOf({ jobImage }: Pick<Work, 'jobImage'>, engine: string): string {
	if (jobImage !== undefined) return jobImage;
	throw new BuildError('USAGE', `--for ${engine} needs --job-image: the image with s2oci in which the jobs run`, {
		hint: 'docs/ci.md says how it is made; name it as in --job-image registry.example/ci/s2oci.',
	});
}

/** Twelve hexadecimal characters that tell `parts` from others, as names of a cluster's objects may have. */
export function shortHash(...parts: readonly string[]): string {
	return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 12);
}

/**
 * For engines that start all they are given: the first `canary`, or else as many as may run at the same time. The others are left for the
 * next plan, for which these are fresh.
 */
export function firstOf({ images, canary, maxParallel }: Work): {
	readonly images: readonly string[];
	readonly left: number;
} {
	const most = Math.min(canary ?? images.length, maxParallel ?? images.length);
	return { images: images.slice(0, most), left: Math.max(0, images.length - most) };
}
