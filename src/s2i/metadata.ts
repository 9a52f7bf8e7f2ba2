import * as v from 'valibot';
import { BuildError } from '../errors.js';
import { parseJson } from '../json.js';

/** Where assemble may leave labels for the image; the path does not depend on the destination. */
export const METADATA_PATH = '/tmp/.s2i/image_metadata.json';

const MAX_METADATA = 256 * 1024;
const schema = v.object({ labels: v.array(v.record(v.string(), v.string())) });

/**
 * The labels of an `image_metadata.json`: `{"labels": [{"name": "value"}, …]}`, later ones win. Throws IMAGE_INVALID for anything
 * else, and for texts over 256 KiB.
 */
export function parseMetadata(text: string): Readonly<Record<string, string>> {
	if (text.length > MAX_METADATA) throw metadataInvalid('is longer than 256 KiB');
	const result = v.safeParse(schema, readJson(text));
	if (!result.success) {
		const [issue] = result.issues;
		throw metadataInvalid(`has the wrong shape at ${JSON.stringify((v.getDotPath(issue) ?? 'the top').slice(0, 100))}`);
	}
	return Object.fromEntries(result.output.labels.flatMap((labels) => Object.entries(labels)));
}

function readJson(text: string): unknown {
	try {
		return parseJson(text);
	} catch (cause) {
		throw metadataInvalid('is not JSON', cause);
	}
}

function metadataInvalid(what: string, cause?: unknown): BuildError {
	return new BuildError('IMAGE_INVALID', `${METADATA_PATH}, which assemble wrote, ${what}`, {
		hint: 'It must look like {"labels": [{"name": "value"}]}, with text values only.',
		cause,
	});
}
