import { absoluteLocation, formatImageLocation, namesImage } from '../../content/location.js';
import { BuildError, isBuildError } from '../../errors.js';
import type { Image } from '../../oci/image.js';
import type { BuildContext } from '../context.js';
import { quoted } from '../images/try-it.js';
import type { BuildRequest } from '../request.js';
import { keepImage } from './unpushed.js';

/**
 * Throws `error`, with which the push of `image` failed. When it is one of a registry, image and new layer (the file `layerPath`) are kept
 * first, the result says where, and the hint of what is thrown has the command that finishes the push.
 */
export async function keepUnpushed(
	error: unknown,
	image: Image,
	layerPath: string,
	{ request, record }: BuildContext,
): Promise<never> {
	if (!isBuildError(error) || !/^(?:REGISTRY|CREDENTIALS)_/.test(error.code)) throw error;
	const { host, output, runtime, builder } = request;
	const targets = output.targets.map((location) => ({
		image: formatImageLocation(absoluteLocation(location)),
		tagged: namesImage(location),
	}));
	const base = formatImageLocation(absoluteLocation(runtime?.image ?? builder));
	const path = await keepImage(host.store, { targets, base, image, layerPath }).catch(() => undefined);
	// Then there is no more to do for the user than before.
	if (path === undefined) throw error;
	record.note({ unpushed: path });
	const { code, message, hint = '', cause } = error;
	const next = `Then finish the push, without building again: ${resumeLine(output.resultFile ?? path, host)}`;
	throw new BuildError(code, message, { hint: `${hint} ${next}`.trim(), cause });
}

/** The command line that finishes a push as `file` says it was begun. */
export function resumeLine(
	file: string,
	{ insecureRegistries, dockerConfig }: Pick<BuildRequest['host'], 'insecureRegistries' | 'dockerConfig'>,
): string {
	const insecure = insecureRegistries.flatMap((host) => ['--insecure-registry', host]);
	const credentials = dockerConfig === undefined ? [] : ['--dockercfg-path', dockerConfig];
	return ['s2oci', 'push', '--resume', file, ...insecure, ...credentials].map(quoted).join(' ');
}
