import { BuildError } from '../../errors.js';
import type { ContainerConfig } from '../../oci/image.js';
import type { Contract } from '../../s2i/contract.js';
import type { EnvironmentVariable } from '../../s2i/environment.js';
import { isBuildLabel, VOLATILE_LABEL } from '../../s2i/labels.js';
import { METADATA_PATH, parseMetadata } from '../../s2i/metadata.js';
import type { User } from '../../s2i/users.js';
import type { SourceInfo } from '../../source/source.js';
import type { BuildContext } from '../context.js';
import type { Emit } from '../events.js';
import type { Prepared } from '../prepare/prepare.js';
import type { Root } from '../root.js';
import { assembleRuntime } from '../runtime-image.js';
import { executeScript } from './execute-script.js';

/** What a successful build leaves behind for the image, and where. */
export interface Assembled {
	/** The root filesystem that becomes the image. */
	readonly root: Root;
	readonly contract: Contract;
	/** Who owns what is new. */
	readonly user: User;
	/** Path of the run script in the image; undefined when the config says what runs. */
	readonly runPath: string | undefined;
	/** What the image's ENV gets. */
	readonly environment: readonly EnvironmentVariable[];
	/** From `image_metadata.json`. */
	readonly labels: Readonly<Record<string, string>>;
	/** The config that ONBUILD left; undefined when it is the base's own. */
	readonly config: ContainerConfig | undefined;
}

/** Runs assemble in the prepared builder, and assemble-runtime in the runtime image if there is one. Throws ASSEMBLE_FAILED, HOST_NO_SANDBOX. */
export async function assemble(context: BuildContext, prepared: Prepared, info: SourceInfo): Promise<Assembled> {
	const { record } = context;
	const { root, contract, scripts, user, environment, config, runtime } = prepared;
	await record.stage('assemble', () => runAssemble(context, prepared, info));
	if (runtime === undefined) {
		const labels = await readMetadata(root, record.emit);
		return { root, contract, user, runPath: scripts.get('run')?.path, environment, labels, config };
	}
	await record.stage('runtime', () => assembleRuntime(context, runtime, { root, environment, epoch: info.epoch }));
	const labels = await readMetadata(runtime.root, record.emit);
	const { contract: own, user: owner, run } = runtime;
	return { root: runtime.root, contract: own, user: owner, runPath: run.path, environment, labels, config: undefined };
}

async function runAssemble(context: BuildContext, prepared: Prepared, { epoch }: SourceInfo): Promise<void> {
	const { root, contract, scripts, user, environment, artifacts } = prepared;
	const script = scripts.get('assemble');
	if (script === undefined) return;
	await executeScript(context, root, {
		...{ argv: [script.path], what: `${script.name} (${script.path})`, cwd: contract.workingDir, user },
		...{ image: contract.env, environment, incremental: artifacts !== undefined, epoch },
		onExit: (exitCode) => context.record.note({ assemble: { exitCode } }),
	});
}

/**
 * The labels that a script left for the image. What rebuild would believe is left out, with a warning. Throws ASSEMBLE_FAILED for what cannot
 * be read, IMAGE_INVALID for what makes no sense.
 */
async function readMetadata(root: Root, emit: Emit): Promise<Readonly<Record<string, string>>> {
	const [file] = await root.read([METADATA_PATH]);
	if (file === undefined || file.type === 'missing') return {};
	if (file.text !== undefined) {
		const labels = parseMetadata(file.text);
		const forged = Object.keys(labels).filter((name) => isBuildLabel(name) && name !== VOLATILE_LABEL);
		if (forged.length > 0) {
			const names = forged
				.map((name) => JSON.stringify(name.slice(0, 100)))
				.slice(0, 10)
				.join(', ');
			const message = `${METADATA_PATH} has labels that only the build itself writes; they are left out: ${names}`;
			emit({ type: 'warning', code: 'LABELS', message });
		}
		return labels;
	}
	throw new BuildError('ASSEMBLE_FAILED', `${METADATA_PATH} is not a regular file of at most 1 MiB`, {
		hint: 'assemble writes it; it holds {"labels": [{"name": "value"}]}.',
	});
}
