import { BuildError } from '../../errors.js';
import { isDigest } from '../../oci/digest.js';
import { formatReference, type ImageReference } from '../../oci/reference.js';
import type { IndexRequest } from '../../pipeline/image-index/create-index.js';
import { parseAssignment } from '../../s2i/environment.js';
import { checkHostFiles } from '../check-request.js';
import { hostOptions, readHostRequest, reportOptions } from '../host-options.js';
import { openImageNames, readLocation } from '../image-names.js';
import { each, list, type Reading, required, section, several, type Values } from '../options.js';
import { withReport } from '../outcome.js';
import type { Definition } from '../parse-command.js';
import { oneOf } from '../values.js';

const ACTIONS = ['create'] as const;
const { dockerConfig, insecureRegistries, caBundle } = hostOptions;

const indexArguments = {
	action: required('create', 'what is done', [...ACTIONS]),
	name: required('name', 'the name to push the index as'),
	members: several('image', 'a digest in the repository of <name>, or an image on the same registry; in their order'),
	...section('Image', {
		annotations: list('annotation', 'KEY=VALUE', 'annotation of the index', {
			read: each((text) => parseAssignment(text, '--annotation')),
		}),
	}),
	host: { dockerConfig, insecureRegistries, caBundle },
	report: reportOptions,
};

/** `s2oci index`. */
export const command: Definition<typeof indexArguments> = {
	name: 'index',
	description:
		'Make one multi-platform image of images that were pushed, one for each platform, and push it. The platforms are those that the\n' +
		'images say; no layer is downloaded unless the registry refuses to share one between its repositories.',
	examples: [
		{
			description: 'Join what two machines built with --push-by-digest',
			command: 's2oci index create registry.example/team/app:1.2 "$AMD64" "$ARM64"',
		},
		{
			description: 'Say where it is from',
			command:
				's2oci index create registry.example/app:1 registry.example/app:1-amd64 registry.example/app:1-arm64 --annotation ' +
				'org.opencontainers.image.source=https://example.org/app',
		},
	],
	args: indexArguments,
	/** Makes and pushes the index; prints `name@digest` on stdout. */
	perform: async ({ value, ...line }, { io }) => {
		oneOf('s2oci index', ACTIONS, value.action);
		await openImageNames({ env: line.env, program: 's2oci' }).target(value.name);
		const host = readHostRequest(value.host, line);
		const request = readIndexRequest(value, line);
		await checkHostFiles(host);
		return withReport(value.report, io, line.events, async (emit, signal) => {
			const { createIndex } = await import('../../pipeline/image-index/create-index.js');
			return { status: 0, line: await createIndex(request, emit, signal) };
		});
	},
};

/** What `s2oci index create` is asked to do. Throws USAGE or REFERENCE_INVALID. */
export function readIndexRequest(
	{ name: text, members, annotations, host }: Values<typeof indexArguments>,
	reading: Pick<Reading, 'env'>,
): IndexRequest {
	const name = readRegistryName(text);
	if (name.digest !== undefined) {
		throw new BuildError('REFERENCE_INVALID', `cannot push to a digest: ${formatReference(name)}`, {
			hint: 'Name the index by repository and tag; its digest follows from its images.',
		});
	}
	if (members.length === 0) {
		throw new BuildError('USAGE', 's2oci index create needs the images that the index is made of', {
			hint: 'Give the digest of one for each platform, as s2oci build --push-by-digest prints it.',
		});
	}
	const memberOf = (member: string): ImageReference =>
		isDigest(member) ? { repository: name.repository, digest: member } : readRegistryName(member);
	return {
		network: readHostRequest(host, reading),
		name,
		members: members.map(memberOf),
		annotations: Object.fromEntries(annotations.map(({ name: key, value }) => [key, value])),
	};
}

function readRegistryName(text: string): ImageReference {
	const location = readLocation(text);
	if (location.type === 'registry') return location.reference;
	throw new BuildError('USAGE', `an index is made on a registry, of images on it, and ${JSON.stringify(text)} is not`, {
		hint: 'Push the image to a registry first.',
	});
}
