import { join } from 'node:path';
import type { ImageLocation } from '../content/location.js';
import { readContract } from '../s2i/contract.js';
import type { EnvironmentVariable } from '../s2i/environment.js';
import type { Emit } from './events.js';
import { mountImage } from './images/mount-image.js';
import { hostFiles } from './prepare/host-files.js';
import { installScripts } from './prepare/install-scripts.js';
import { createRecord } from './record.js';
import type { BuildRequest, ScriptsRequest } from './request.js';
import { openSession, reportWorker } from './session.js';
import { settleStore } from './store/settle-store.js';

/** What `s2oci usage` is told. */
export interface UsageRequest extends Pick<BuildRequest, 'host' | 'pullPolicy'> {
	readonly image: ImageLocation;
	readonly scripts: Pick<ScriptsRequest, 'scriptsUrl' | 'destination'>;
	readonly environment: readonly EnvironmentVariable[];
}

/**
 * Runs the image's usage script on our own streams; no image is made. Resolves with its exit status (128 + n after signal n), or with
 * undefined when aborting stopped it. Throws SCRIPT_MISSING and what pulling an image throws.
 */
export async function usage(asked: UsageRequest, emit: Emit, signal: AbortSignal): Promise<number | undefined> {
	const request = { ...asked, host: settleStore(asked.host) };
	const record = createRecord(emit);
	const {
		host,
		scripts: { destination, scriptsUrl },
	} = request;
	const onEvent = reportWorker(emit);
	await using session = await openSession(host, { streams: 'inherit', onEvent, emit }, signal);
	const { image, root } = await mountImage(request.image, request.pullPolicy, { host, session, record }, signal);
	const contract = readContract(image.config.value.config ?? {}, { destination });
	const directory = join(session.scratch, 'scripts');
	const input = { contract, scriptsUrl, source: undefined, directory, inspect: root.stat, http: session.http, emit };
	const { scripts, placed } = await installScripts({ required: ['usage'], optional: [] }, input, signal);
	const user = await root.user(contract.user);
	const script = { source: directory, destination: join(contract.destination, 'scripts'), owner: user, keep: true };
	const { workingDir } = contract;
	const binds = await hostFiles({}, session.scratch);
	await root.prepare({ placements: placed ? [script] : [], binds, workingDir });
	const given = Object.fromEntries(request.environment.map(({ name, value }) => [name, value]));
	const env = { HOME: user.home, ...contract.env, ...given };
	const path = scripts.get('usage')?.path ?? '';
	const process = { argv: [path] as const, env, cwd: workingDir, user };
	return await root.show({ process }, signal);
}
