import type { ImageLocation } from '../../content/location.js';
import type { WorkerProcess } from '../../host/start-worker.js';
import type { Digest } from '../../oci/digest.js';
import { readContract } from '../../s2i/contract.js';
import type { EnvironmentVariable } from '../../s2i/environment.js';
import type { Limits } from '../../sandbox/limits.js';
import type { BuildEvent, Emit } from '../events.js';
import { imageProcess } from '../images/image-process.js';
import { mountImage } from '../images/mount-image.js';
import { hostFiles } from '../prepare/host-files.js';
import { createRecord } from '../record.js';
import type { HostRequest } from '../request.js';
import { openSession, reportWorker } from '../session.js';
import { describeImage } from './describe-image.js';
import { describeRun, type Printed } from './describe-run.js';
import { exposedPorts } from './exposed.js';
import { observeRun } from './observe-run.js';
import type { Transcript } from './transcript.js';

/** How images are run to be compared. */
export interface RunOptions {
	readonly environment: readonly EnvironmentVariable[];
	/** USER syntax; the image's own when undefined. */
	readonly user: string | undefined;
	readonly limits: Limits;
	/** How long a program may take until it listens, in ms. */
	readonly readyTimeout: number;
}

/** An image that is mounted to be run once. */
export interface OpenRun extends AsyncDisposable {
	readonly worker: WorkerProcess;
	readonly digest: Digest;
	/** What the image is, before it runs. */
	readonly describe: () => Promise<Transcript>;
	/** Runs it, and says what it did. */
	readonly observe: (options: RunOptions, signal: AbortSignal) => Promise<Transcript>;
}

/** What of each output is compared. */
const MAX_OUTPUT = 256 << 10;
/** What every process writes to, and nobody looks at. */
const TEMPORARY: readonly string[] = ['/tmp', '/var/tmp', '/run', '/var/run', '/dev', '/proc', '/sys'];

/** Pulls and mounts the image in a session of its own, which disposing ends. */
export async function openRun(
	location: ImageLocation,
	{ host, limits }: RunOptions & { readonly host: HostRequest },
	emit: Emit,
	signal: AbortSignal,
): Promise<OpenRun> {
	const output = collectOutput(emit);
	const record = createRecord(output.emit);
	const onEvent = reportWorker(output.emit);
	const session = await openSession(host, { streams: 'forward', onEvent, emit: output.emit }, signal);
	try {
		const worker = await session.worker;
		const { image, root } = await mountImage(location, 'check', { host, session, record }, signal);
		const config = image.config.value.config ?? {};
		const { volumes } = readContract(config);
		// What the worker sees of the image before it runs is what the image is.
		const described = await describeImage(image, root);
		return {
			worker,
			digest: image.manifest.descriptor.digest,
			describe: () => Promise.resolve(described),
			observe: async (options, stop) => {
				const process = await imageProcess(
					root,
					{ ...config, User: options.user ?? config.User ?? '' },
					{ args: [], ...options },
				);
				const binds = await hostFiles({ limits }, session.scratch);
				await root.prepare({ placements: [], binds, workingDir: process.cwd });
				const isOwn = worker.mounts;
				const seen = await observeRun(
					root,
					worker,
					{
						process,
						limits: { ...options.limits, network: isOwn ? 'none' : 'host' },
						exposed: exposedPorts(config),
						anyPort: !isOwn,
						readyTimeout: options.readyTimeout,
						excluded: [...TEMPORARY, ...volumes],
					},
					stop,
				);
				return describeRun(seen, output.printed());
			},
			[Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
		};
	} catch (error) {
		await session[Symbol.asyncDispose]();
		throw error;
	}
}

/** Keeps what the image prints, and passes on all other events to `emit`. */
function collectOutput(emit: Emit): { readonly emit: Emit; readonly printed: () => Printed } {
	const chunks = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
	const sizes = { stdout: 0, stderr: 0 };
	const text = (from: keyof typeof chunks) => Buffer.concat(chunks[from]).subarray(0, MAX_OUTPUT).toString('utf8');
	return {
		emit: (event: BuildEvent) => {
			if (event.type !== 'output') {
				emit(event);
				return;
			}
			if (sizes[event.from] < MAX_OUTPUT) chunks[event.from].push(event.chunk);
			sizes[event.from] += event.chunk.length;
		},
		printed: () => ({
			stdout: text('stdout'),
			stderr: text('stderr'),
			cut: (['stdout', 'stderr'] as const).filter((from) => sizes[from] > MAX_OUTPUT),
		}),
	};
}
