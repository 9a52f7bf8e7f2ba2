import { constants } from 'node:os';
import { join } from 'node:path';
import type { ImageLocation } from '../content/location.js';
import { readContract } from '../s2i/contract.js';
import { resolveUser } from '../s2i/users.js';
import { exitStatus } from '../sandbox/sandbox.js';
import type { Emit } from './events.js';
import { mountImage } from './images/mount-image.js';
import { hostFiles } from './prepare/host-files.js';
import { installScripts } from './prepare/install-scripts.js';
import { createRecord } from './record.js';
import type { BuildRequest, HostRequest } from './request.js';
import { openSession, transferProgress } from './session.js';
import { settleStore } from './store/settle-store.js';

/** What `s2oci usage` is told. */
export interface UsageRequest
	extends HostRequest,
		Pick<BuildRequest, 'pullPolicy' | 'scriptsUrl' | 'destination' | 'environment'> {
	readonly image: ImageLocation;
}

/**
 * Runs the image's usage script on our own streams; no image is made. Resolves with its exit status (128 + n after signal n), or with
 * undefined when aborting stopped it. Throws SCRIPT_MISSING and what pulling an image throws.
 */
export async function usage(asked: UsageRequest, emit: Emit, signal: AbortSignal): Promise<number | undefined> {
	const request = settleStore(asked);
	const record = createRecord(emit);
	await using session = await openSession(
		request,
		{ streams: 'inherit', onEvent: transferProgress(emit), emit },
		signal,
	);
	const image = await mountImage(request.image, request.pullPolicy, { request, session, record }, signal);
	const { destination, scriptsUrl } = request;
	const contract = readContract(image.config.value.config ?? {}, { destination });
	const worker = await session.worker;
	const look = (stat: readonly string[], read: readonly string[]) =>
		worker.call('inspect', { root: 'builder', stat, read });
	const directory = join(session.scratch, 'scripts');
	const inspect = async (stat: readonly string[]) => (await look(stat, [])).found;
	const input = { contract, scriptsUrl, source: undefined, directory, inspect, http: session.http, emit };
	const { scripts, placed } = await installScripts({ required: ['usage'], optional: [] }, input, signal);
	const { found } = await look([], ['/etc/passwd', '/etc/group']);
	const [passwd, group] = found.map((file) => file.text ?? '');
	const user = resolveUser(contract.user, passwd ?? '', group ?? '');
	const script = { source: directory, destination: join(contract.destination, 'scripts'), owner: user, keep: true };
	const binds = await hostFiles(undefined);
	await worker.call('prepare', {
		root: 'builder',
		placements: placed ? [script] : [],
		binds,
		workingDir: contract.workingDir,
	});
	const env: Record<string, string> = { HOME: user.home, ...contract.env };
	for (const { name, value } of request.environment) env[name] = value;
	const path = scripts.get('usage')?.path ?? '';
	const process = { argv: [path] as const, env, cwd: contract.workingDir, user };
	const sandboxes = worker.sandboxes;
	try {
		const { exit } = await worker.call('execute', { root: 'builder', process, sandboxes, streams: 'inherit' });
		return exitStatus(exit, constants.signals);
	} catch (error) {
		if (signal.aborted) return undefined;
		throw error;
	}
}
