import { createReadStream, mkdirSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { isBuildError } from '../errors.js';
import type { Libc } from '../linux/libc.js';
import type { ArtifactOutput, SavedArtifacts } from '../protocol/artifacts.js';
import type { WorkerCalls } from '../protocol/worker-calls.js';
import { removeTree } from '../remove-tree.js';
import { rawPath } from '../root-path.js';
import { type ExtractedArtifacts, extractArtifacts } from '../rootfs/artifacts.js';
import { packArtifacts } from '../rootfs/pack-artifacts.js';
import { type ExecuteContext, execute } from './execute.js';
import type { WorkerSession } from './open-session.js';

type Save = WorkerCalls['saveArtifacts'];
type Restore = WorkerCalls['restoreArtifacts'];

type HostContext = Pick<WorkerSession, 'libc' | 'ids'>;

/**
 * Runs a save-artifacts script and extracts what it writes. A process whose output is no archive is stopped at once. Throws
 * LAYER_INVALID for that, HOST_NO_SPACE, HOST_NO_SANDBOX.
 */
export async function saveArtifacts(
	request: Save['request'],
	context: ExecuteContext & HostContext,
	signal: AbortSignal,
): Promise<Save['response']> {
	let extracted = NOTHING;
	let problem: string | undefined;
	const consume = async (stdout: Readable): Promise<void> => {
		try {
			extracted = await extract(stdout, request, context, signal);
		} catch (error) {
			// A process whose output was cut short says more by its exit status.
			if (!stdout.readableEnded || !isBuildError(error, 'LAYER_INVALID')) throw error;
			problem = error.message;
		}
	};
	const ended = await execute({ ...request, streams: 'forward' }, context, signal, consume);
	signal.throwIfAborted();
	return {
		...ended,
		...(await finished(extracted, request, context.libc, signal)),
		...(problem !== undefined && { problem }),
	};
}

/** Extracts an archive of artifacts. Throws LAYER_INVALID, HOST_NO_SPACE. */
export async function restoreArtifacts(
	request: Restore['request'],
	context: HostContext,
	signal: AbortSignal,
): Promise<Restore['response']> {
	const extracted = await extract(createReadStream(request.archive), request, context, signal);
	return finished(extracted, request, context.libc, signal);
}

const NOTHING: ExtractedArtifacts = { entries: 0, bytes: 0, notices: [] };

async function extract(
	stream: Readable,
	{ directory, owner }: ArtifactOutput,
	{ ids, libc }: HostContext,
	signal: AbortSignal,
): Promise<ExtractedArtifacts> {
	removeTree(rawPath(directory));
	mkdirSync(directory, { mode: 0o755 });
	try {
		return await extractArtifacts(stream, { root: rawPath(directory), owner, ids, libc }, signal);
	} catch (error) {
		removeTree(rawPath(directory));
		throw error;
	}
}

async function finished(
	saved: ExtractedArtifacts,
	{ directory, pack }: ArtifactOutput,
	libc: Libc,
	signal: AbortSignal,
): Promise<SavedArtifacts> {
	if (saved.entries === 0) removeTree(rawPath(directory));
	if (saved.entries === 0 || pack === undefined) return saved;
	return { ...saved, packed: await packArtifacts(rawPath(directory), pack, libc, signal) };
}
