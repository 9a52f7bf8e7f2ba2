import { formatImageLocation, type ImageLocation, parseImageLocation } from '../content/location.js';
import { BuildError } from '../errors.js';
import { absolutePath, workingDirectory } from '../host-path.js';
import { redact } from '../redact.js';
import { decodeRebuild, type RebuildInputs, refuseLocalAddresses } from '../s2i/rebuild.js';
import { parseRemote } from '../source/git-remote.js';
import { build } from './build.js';
import { listenFor } from './callback/report-callback.js';
import type { Emit } from './events.js';
import { untilFault } from './give-up.js';
import { wasBuiltHere } from './images/built-here.js';
import { resolveWithPolicy } from './images/image-record.js';
import { recordContext } from './images/images.js';
import { openImageSource } from './images/open-image.js';
import { createRecord } from './record.js';
import type { BuildRequest, PullPolicy } from './request.js';
import type { BuildOutcome } from './result.js';
import { openSession, reportWorker } from './session.js';
import { settleStore } from './store/settle-store.js';

/** What `s2oci rebuild` is told; all else comes from the image's labels. */
export interface RebuildRequest extends Pick<BuildRequest, 'host' | 'assemble' | 'incremental' | 'output'> {
	/** The image that is built again. */
	readonly image: ImageLocation;
	/** Where the source is, in place of what the image says; undefined: where the image says. */
	readonly source: string | undefined;
	/** Overrides what the image says. */
	readonly destination: string | undefined;
	/** For `image` and for its builder. */
	readonly pullPolicy: PullPolicy;
	readonly runtimePullPolicy: PullPolicy;
	/** Where a name in the image's labels leads: a name that says it itself. */
	readonly readName: (name: string) => Promise<string>;
}

/** Builds `request.image` again from what its labels say: the same commit, builder, variables and options. Never rejects. */
export async function rebuild(request: RebuildRequest, emit: Emit, signal: AbortSignal): Promise<BuildOutcome> {
	let inputs: Recorded;
	try {
		inputs = await untilFault(readInputs({ ...request, host: settleStore(request.host) }, emit, signal), signal);
	} catch (error) {
		return listenFor(request, emit, signal).tell(createRecord(emit).failed(signal.aborted ? signal.reason : error), {});
	}
	emit({
		type: 'log',
		level: 1,
		message: `rebuilding ${inputs.source}${inputs.commit === undefined ? '' : ` at ${inputs.commit}`}`,
	});
	return build(requestOf(request, inputs), emit, signal);
}

/** What an image says of its build. */
interface Recorded extends RebuildInputs {
	readonly displayName: string | undefined;
}

async function readInputs(request: RebuildRequest, emit: Emit, signal: AbortSignal): Promise<Recorded> {
	const options = { streams: 'forward', onEvent: reportWorker(emit), emit } as const;
	await using session = await openSession(request.host, options, signal);
	const opened = await openImageSource(request.image, session.access, signal);
	const image = await resolveWithPolicy(opened, request.pullPolicy, recordContext(request.host, session), emit, signal);
	const { Labels, Env } = image.config.value.config ?? {};
	const name = redact(formatImageLocation(request.image));
	const inputs = decodeRebuild(Labels ?? {}, Env, name);
	const displayName = Labels?.['io.k8s.display-name'];
	const source = request.source ?? inputs.source;
	if (source === '-') throw fromPipe(name);
	refuseLocalAddresses(inputs, request.source === undefined, name);
	if (!(await wasBuiltHere(request.host.store, image.config.descriptor.digest))) {
		if (request.source === undefined) refuseElsewhere(name, source, rebuildFrom(name, source));
		if (inputs.scriptsUrl?.startsWith('file://') === true) refuseElsewhere(name, inputs.scriptsUrl, ELSEWHERE);
	}
	const { readName } = request;
	const runtime = inputs.runtime && { ...inputs.runtime, image: await readName(inputs.runtime.image) };
	return { ...inputs, builder: await readName(inputs.builder), runtime, source, displayName };
}

function fromPipe(name: string): BuildError {
	return new BuildError('SOURCE_NOT_FOUND', `${name} was made from what stood on standard input, which is gone`, {
		hint: 'Build it again with s2oci build, or say with --source where the source is now.',
	});
}

/**
 * Labels are whoever's who made the image: without this, a foreign image could have any directory of this host handed to a builder of its
 * own choice, and pushed. What is below the working directory may be used, and what `--source` names.
 */
function refuseElsewhere(name: string, place: string, remedy: string): void {
	const path = place.startsWith('file://') ? place.slice('file://'.length) : place;
	if (parseRemote(path) !== undefined) return;
	const real = absolutePath(path);
	const here = workingDirectory();
	if (real === here || real.startsWith(here === '/' ? here : `${here}/`)) return;
	throw new BuildError(
		'SOURCE_INVALID',
		`${name} says that it was made from ${JSON.stringify(redact(path))}, outside of the working directory, and the store does not know that it was built here`,
		{ hint: `If that is right, ${remedy}. Do not, if you do not know who made the image.` },
	);
}

const ELSEWHERE = 'go there (cd) and rebuild again, or build it with s2oci build';

function rebuildFrom(name: string, source: string): string {
	return `say so: s2oci rebuild ${name} --source ${JSON.stringify(redact(source.replace(/^file:\/\//, '')))}`;
}

function requestOf(request: RebuildRequest, inputs: Recorded): BuildRequest {
	const { host, assemble, incremental, output, pullPolicy, runtimePullPolicy } = request;
	const { commit, contextDir, keepSymlinks, ignoreSubmodules, exclude, runtime } = inputs;
	const { scriptsUrl, assembleUser, environment, applicationName, description, labels } = inputs;
	const destination = request.destination ?? inputs.destination;
	const copy = inputs.copy && commit === undefined;
	return {
		...{ assemble, incremental, output, pullPolicy },
		host: { ...host, namedBy: 'image' },
		source: { location: inputs.source, ref: commit, contextDir, copy, keepSymlinks, ignoreSubmodules, exclude },
		builder: parseImageLocation(inputs.builder),
		scripts: { scriptsUrl, destination, assembleUser, allowedUids: undefined },
		variables: { environment, environmentFile: undefined },
		runtime: runtime && {
			artifacts: runtime.artifacts,
			user: runtime.user,
			image: parseImageLocation(runtime.image),
			pullPolicy: runtimePullPolicy,
		},
		image: { applicationName, tagName: inputs.displayName, description, labels },
	};
}
