import { createReadStream } from 'node:fs';
import { BuildError } from '../errors.js';
import { diffIdsOf, type Image } from '../oci/image.js';
import { processFailed } from './assemble/execute-script.js';
import type { BuildContext } from './context.js';
import { imageProcess, type WantedProcess } from './images/image-process.js';
import { unpackImage } from './images/unpack-image.js';
import { hostFiles } from './prepare/host-files.js';
import type { BeforePush } from './request.js';
import { mountRoot } from './root.js';

const SHELL = '/bin/sh';

/** What `asked` runs in place of ENTRYPOINT and CMD, as OpenShift's builder has it. */
export function wantedProcess({ script, command = [], args = [] }: BeforePush): WantedProcess {
	// The shell is interactive so that it reads $ENV, by which images of Software Collections put their programs on PATH.
	if (script !== undefined) return { entrypoint: [SHELL, '-ic'], args: [script, SHELL, ...args] };
	return command.length > 0 ? { entrypoint: command, args } : { args };
}

/** Throws USAGE for what is none of the forms of {@link BeforePush}. */
export function checkBeforePush({ script, command = [], args = [] }: BeforePush): void {
	const hint = 'Give a script, or a command, or arguments for the ENTRYPOINT of the image.';
	if (script !== undefined && command.length > 0) {
		throw new BuildError('USAGE', 'before the push, a script and a command exclude each other', { hint });
	}
	if ((script ?? '').trim() === '' && command.length === 0 && args.length === 0) {
		throw new BuildError('USAGE', 'nothing is said to run before the push', { hint });
	}
}

/**
 * Runs `request.output.beforePush` in `built`, whose last layer is the file `layerPath`, mounted as another root filesystem: as the image's user,
 * with its environment and nothing else of the build, under the limits and the time of assemble. What it changes is dropped. Throws
 * BEFORE_PUSH_FAILED with its last lines when it does not end with 0, and what mounting and starting throw.
 */
export async function runBeforePush(context: BuildContext, built: Image, layerPath: string): Promise<void> {
	const { request, session, worker, record } = context;
	const { limits, assembleTimeout: timeoutMs } = request.assemble;
	const { allowedUids } = request.scripts;
	await unpackBuilt(context, built, layerPath);
	const root = await mountRoot('built', diffIdsOf(built), context);
	try {
		const wanted = { ...wantedProcess(request.output.beforePush ?? {}), allowedUids };
		const process = await imageProcess(root, built.config.value.config ?? {}, wanted);
		const binds = await hostFiles({ limits }, session.scratch);
		await root.prepare({ placements: [], binds, user: process.user, workingDir: process.cwd });
		const ended = await root.run({ process, limits, timeoutMs });
		record.note({ beforePush: { exitCode: ended.status } });
		if (!ended.timedOut && ended.status === 0) return;
		throw processFailed({ ...FAILED, timeoutMs, uid: process.user.uid }, ended, worker);
	} finally {
		await root.unmount();
	}
}

const FAILED = {
	code: 'BEFORE_PUSH_FAILED',
	what: 'the command before the push',
	advice: 'Nothing was pushed. The reason is in what it printed.',
} as const;

/** All layers but the new one are in the store, since the build was made with them. */
async function unpackBuilt({ worker, session, record }: BuildContext, built: Image, layerPath: string): Promise<void> {
	const provider = {
		open: () => Promise.resolve(createReadStream(layerPath)),
		settle: () => undefined,
		release: () => undefined,
	};
	await unpackImage(built, provider, worker, session, record.emit);
}
