import { BuildError } from '../errors.js';
import type { Image } from '../oci/image.js';
import { readContract } from '../s2i/contract.js';
import { checkEnvironmentSize } from '../s2i/environment.js';
import type { ContainerProcess } from '../sandbox/sandbox.js';
import type { Emit } from './events.js';
import { mountImage } from './images/mount-image.js';
import { hostFiles } from './prepare/host-files.js';
import { createRecord } from './record.js';
import type { RunRequest } from './request.js';
import type { Root } from './root.js';
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
	const process = await describeProcess(request, image, root);
	const binds = await hostFiles({ limits: request.limits }, session.scratch);
	await root.prepare({ placements: [], binds, workingDir: process.cwd });
	return await root.show({ process, limits: request.limits }, signal);
}

async function describeProcess(request: RunRequest, image: Image, root: Root): Promise<ContainerProcess> {
	const config = image.config.value.config ?? {};
	const contract = readContract(config);
	const command = request.args.length > 0 ? request.args : (config.Cmd ?? []);
	const [program, ...args] = [...(config.Entrypoint ?? []), ...command];
	if (program === undefined) {
		throw new BuildError('IMAGE_UNSUPPORTED', 'the image has neither ENTRYPOINT nor CMD', {
			hint: 'Say what to run: s2oci run IMAGE -- COMMAND [ARGUMENT...]',
		});
	}
	const user = await root.user(contract.user);
	const asked = Object.fromEntries(request.environment.map(({ name, value }) => [name, value]));
	const env = { HOME: user.home, ...contract.env, ...asked };
	checkEnvironmentSize(env, 'build');
	return { argv: [program, ...args], env, cwd: contract.workingDir, user };
}
