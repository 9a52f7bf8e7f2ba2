import { isEngineLocation, parseImageLocation } from '../../content/location.js';
import { BuildError } from '../../errors.js';
import { type ImageReference, parseReference } from '../../oci/reference.js';
import { redactWord } from '../../redact.js';

/** A registry, or an image on one, to be looked at. `bare` is the name of an image that names no registry. */
export type DoctorTarget =
	| { readonly type: 'registry'; readonly name: string; readonly registry: string }
	| { readonly type: 'image'; readonly name: string; readonly reference: ImageReference; readonly bare?: string };

const HOST = /^(?:[a-z0-9.-]+\.[a-z0-9-]+|localhost|\[[0-9a-f:]+\])(?::\d{1,5})?$|^[a-z0-9.-]+:\d{1,5}$/i;

/**
 * `text` as an image, or as a registry: `localhost`, or a host with a dot or a port. Throws USAGE for images in files and in local engines,
 * and REFERENCE_INVALID.
 */
export function parseTarget(text: string): DoctorTarget {
	const bare = text.replace(/^(?:https?|docker):\/\//, '');
	const host = bare.replace(/\/$/, '');
	if (HOST.test(host)) {
		const { repository } = parseReference(`${host}/s2oci`);
		return { type: 'registry', name: host, registry: repository.registry };
	}
	const location = parseImageLocation(text);
	if (location.type === 'registry') return { ...location, type: 'image', name: bare };
	const where = isEngineLocation(location) ? 'in a local engine' : 'in a file or directory';
	throw new BuildError(
		'USAGE',
		`${JSON.stringify(redactWord(text).slice(0, 200))} is neither a registry nor an image on one, but an image ${where}`,
		{
			hint: 'Leave it out: this host is looked at without it. Whether such a builder can be read and run here, s2oci usage IMAGE shows.',
		},
	);
}
