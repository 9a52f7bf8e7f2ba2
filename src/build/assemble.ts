import { constants } from 'node:os';
import { join } from 'node:path';
import { BuildError } from '../errors.js';
import { assembleEnvironment } from '../s2i/assemble-environment.js';
import type { Contract } from '../s2i/contract.js';
import type { EnvironmentVariable } from '../s2i/environment.js';
import { METADATA_PATH, parseMetadata } from '../s2i/metadata.js';
import type { User } from '../s2i/users.js';
import { type Exit, exitStatus } from '../sandbox/sandbox.js';
import type { WorkerCalls } from '../worker/protocol.js';
import type { WorkerProcess } from '../worker/start.js';
import { collectOutput, type Output } from './output.js';
import {
	CA_BUNDLE_PATH,
	findSourceScripts,
	hostFiles,
	inspectBuilder,
	readBuildEnvironment,
	takeSourceScripts,
} from './process.js';
import type { BuildRecord } from './record.js';
import type { BuildRequest } from './request.js';
import { sandboxesOf } from './sandboxes.js';

export interface AssembleInput {
	readonly contract: Contract;
	/** Host directory of the source; it is moved into the root filesystem. */
	readonly source: string;
	readonly scratch: string;
	/** Seconds since 1970. */
	readonly epoch: number;
}

/** What a successful assemble leaves behind for the image. */
export interface Assembled {
	readonly user: User;
	/** Path of the run script in the image. */
	readonly runPath: string;
	readonly environment: readonly EnvironmentVariable[];
	/** From `image_metadata.json`. */
	readonly labels: Readonly<Record<string, string>>;
}

type Ended = WorkerCalls['execute']['response'];

/** Puts the source into the mounted builder image and runs assemble in it. Throws SCRIPT_MISSING, HOST_NO_SANDBOX, ASSEMBLE_FAILED. */
export async function assemble(
	request: BuildRequest,
	input: AssembleInput,
	worker: WorkerProcess,
	record: BuildRecord,
): Promise<Assembled> {
	const { contract, source, scratch, epoch } = input;
	const prepared = await record.stage('prepare', async () => {
		const present = await findSourceScripts(source);
		const { scripts, assembleUser } = await inspectBuilder(worker, contract, present);
		for (const message of [...contract.deprecations, ...scripts.deprecations]) {
			record.emit({ type: 'warning', code: 'DEPRECATED', message });
		}
		const environment = await readBuildEnvironment(source, request.environment);
		const placed = await takeSourceScripts(scripts, source, join(scratch, 'scripts'));
		const owner = { uid: assembleUser.uid, gid: assembleUser.gid };
		await worker.call('prepare', {
			placements: [
				{ source, destination: join(contract.destination, 'src'), owner, keep: false },
				...(placed
					? [
							{
								source: join(scratch, 'scripts'),
								destination: join(contract.destination, 'scripts'),
								owner,
								keep: true,
							},
						]
					: []),
			],
			binds: await hostFiles(request.caBundle),
			workingDir: contract.workingDir,
		});
		return { scripts, user: assembleUser, environment };
	});
	const { scripts, user, environment } = prepared;
	const env = assembleEnvironment({
		image: contract.env,
		environment,
		home: user.home,
		epoch,
		caBundle: request.caBundle === undefined ? undefined : CA_BUNDLE_PATH,
		host: request.env,
	});
	await record.stage('assemble', async () => {
		const output = collectOutput(worker, record.emit);
		const ended = await worker.call('execute', {
			process: { argv: [scripts.assemble.path], env, cwd: contract.workingDir, user },
			sandboxes: sandboxesOf(request.isolation, worker.userNamespace),
			streams: 'forward',
		});
		await output.drained(ended.forwarded);
		reportRung(worker, ended, record);
		const status = exitStatus(ended.exit, constants.signals);
		record.note({ assemble: { exitCode: status } });
		if (status !== 0) throw assembleFailed(scripts.assemble.path, ended.exit, output);
	});
	return { user, runPath: scripts.run.path, environment, labels: await readMetadata(worker) };
}

function reportRung(worker: WorkerProcess, ended: Ended, record: BuildRecord): void {
	const { sandbox, refused } = ended;
	const passed = refused.map((each) => `${each.sandbox} was refused (${each.reason})`);
	const reason = [worker.reason, ...passed].join('; ');
	record.emit({ type: 'rung', rung: { userNamespace: worker.userNamespace, rootfs: 'overlay', sandbox, reason } });
}

async function readMetadata(worker: WorkerProcess): Promise<Readonly<Record<string, string>>> {
	const { found } = await worker.call('inspect', { stat: [], read: [METADATA_PATH] });
	const [file] = found;
	if (file === undefined || file.type === 'missing') return {};
	if (file.text !== undefined) return parseMetadata(file.text);
	throw new BuildError('ASSEMBLE_FAILED', `${METADATA_PATH} is not a regular file of at most 1 MiB`, {
		hint: 'assemble writes it; it holds {"labels": [{"name": "value"}]}.',
	});
}

function assembleFailed(script: string, exit: Exit, output: Output): BuildError {
	const how = exit.type === 'code' ? `with status ${String(exit.code)}` : `by signal ${exit.signal}`;
	const lines = output.lastLines();
	const said = lines === '' ? 'It printed nothing.' : `Its last lines:\n${lines}`;
	const memory = exit.type === 'signal' && exit.signal === 'SIGKILL';
	return new BuildError('ASSEMBLE_FAILED', `assemble (${script}) ended ${how}. ${said}`, {
		hint: memory
			? 'SIGKILL usually means that memory ran out: give the job more.'
			: 'The reason is in what assemble printed. -e BUILD_LOGLEVEL=5 makes many builder images say more.',
	});
}
