import { constants } from 'node:os';
import { BuildError } from '../errors.js';
import type { WorkerProcess } from '../host/start-worker.js';
import type { Image } from '../oci/image.js';
import { readContract } from '../s2i/contract.js';
import { checkEnvironmentSize } from '../s2i/environment-size.js';
import { resolveUser } from '../s2i/users.js';
import { NO_LIMITS } from '../sandbox/limits.js';
import { type ContainerProcess, exitStatus } from '../sandbox/sandbox.js';
import type { Emit } from './events.js';
import { mountImage } from './images/mount-image.js';
import { hostFiles } from './prepare/host-files.js';
import { hostsFile } from './prepare/requested-mounts.js';
import { createRecord } from './record.js';
import type { RunRequest } from './request.js';
import { openSession, transferProgress } from './session.js';
import { settleStore } from './store/settle-store.js';

/**
 * Pulls `asked.image` and runs its ENTRYPOINT and CMD with the terminal's own output, on the host's network. Resolves with the
 * program's exit status (128 + n after signal n), or with undefined when aborting stopped it; rejects with a BuildError when it could not
 * be started.
 */
export async function run(asked: RunRequest, emit: Emit, signal: AbortSignal): Promise<number | undefined> {
	const request = settleStore(asked);
	const record = createRecord(emit);
	const onEvent = transferProgress(emit);
	await using session = await openSession(request, { streams: 'inherit', onEvent, emit }, signal);
	const image = await mountImage(request.image, 'check', { request, session, record }, signal);
	const worker = await session.worker;
	const process = await describeProcess(request, image, worker);
	await worker.call('prepare', {
		root: 'builder',
		placements: [],
		binds: await hostFiles(undefined, await hostsFile(request.limits ?? NO_LIMITS, session.scratch)),
		workingDir: process.cwd,
	});
	const sandboxes = worker.sandboxes;
	try {
		const limited = { process, sandboxes, limits: request.limits, streams: 'inherit' } as const;
		const { exit, unenforced } = await worker.call('execute', { root: 'builder', ...limited });
		for (const message of unenforced) emit({ type: 'warning', code: 'LIMITS', message });
		return exitStatus(exit, constants.signals);
	} catch (error) {
		if (signal.aborted) return undefined;
		throw error;
	}
}

async function describeProcess(request: RunRequest, image: Image, worker: WorkerProcess): Promise<ContainerProcess> {
	const config = image.config.value.config ?? {};
	const contract = readContract(config);
	const command = request.args.length > 0 ? request.args : (config.Cmd ?? []);
	const [program, ...args] = [...(config.Entrypoint ?? []), ...command];
	if (program === undefined) {
		throw new BuildError('IMAGE_UNSUPPORTED', 'the image has neither ENTRYPOINT nor CMD', {
			hint: 'Say what to run: s2oci run IMAGE -- COMMAND [ARGUMENT...]',
		});
	}
	const { found } = await worker.call('inspect', { root: 'builder', stat: [], read: ['/etc/passwd', '/etc/group'] });
	const [passwd, group] = found.map((file) => file.text ?? '');
	const user = resolveUser(contract.user, passwd ?? '', group ?? '');
	const env: Record<string, string> = { HOME: user.home, ...contract.env };
	for (const { name, value } of request.environment) env[name] = value;
	checkEnvironmentSize(env, 'build');
	return { argv: [program, ...args], env, cwd: contract.workingDir, user };
}
