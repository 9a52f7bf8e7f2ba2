import type { Emit } from './events.js';
import { imageProcess } from './images/image-process.js';
import { mountImage } from './images/mount-image.js';
import { hostFiles } from './prepare/host-files.js';
import { createRecord } from './record.js';
import type { RunRequest } from './request.js';
import { openSession, reportWorker } from './session.js';
import { settleStore } from './store/settle-store.js';

/**
 * Pulls `asked.image` and runs its ENTRYPOINT and CMD with the terminal's own output, on the host's network. Resolves with the
 * program's exit status (128 + n after signal n), or with undefined when aborting stopped it; rejects with a BuildError when it could not
 * be started.
 */
export async function run(asked: RunRequest, emit: Emit, signal: AbortSignal): Promise<number | undefined> {
	const request = { ...asked, host: settleStore(asked.host) };
	const record = createRecord(emit);
	const onEvent = reportWorker(emit);
	await using session = await openSession(request.host, { streams: 'inherit', onEvent, emit }, signal);
	const { image, root } = await mountImage(request.image, 'check', { host: request.host, session, record }, signal);
	const process = await imageProcess(root, image.config.value.config ?? {}, request);
	const binds = await hostFiles({ limits: request.limits }, session.scratch);
	await root.prepare({ placements: [], binds, workingDir: process.cwd });
	return await root.show({ process, limits: request.limits }, signal);
}
