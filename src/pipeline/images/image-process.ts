import { BuildError } from '../../errors.js';
import type { ContainerConfig } from '../../oci/image.js';
import { readContract } from '../../s2i/contract.js';
import { checkEnvironmentSize, type EnvironmentVariable } from '../../s2i/environment.js';
import type { ContainerProcess } from '../../sandbox/sandbox.js';
import type { ScriptsRequest } from '../request.js';
import { findUser, type Root } from '../root.js';

/** What is to run in an image. */
export interface WantedProcess extends Partial<Pick<ScriptsRequest, 'allowedUids'>> {
	/** In place of ENTRYPOINT; CMD then does not count. */
	readonly entrypoint?: readonly string[];
	/** In place of CMD when not empty. */
	readonly args: readonly string[];
	readonly environment?: readonly EnvironmentVariable[];
}

/**
 * The process that an engine would start of the image with `config`, whose root filesystem is `root`: its user, environment and WORKDIR. Throws
 * IMAGE_UNSUPPORTED when there is nothing to run, IMAGE_INVALID, IMAGE_USER_NOT_ALLOWED and USAGE.
 */
export async function imageProcess(
	root: Root,
	config: ContainerConfig,
	{ entrypoint, args, environment = [], allowedUids }: WantedProcess,
): Promise<ContainerProcess> {
	const contract = readContract(config);
	const command = args.length > 0 || entrypoint !== undefined ? args : (config.Cmd ?? []);
	const [program, ...rest] = [...(entrypoint ?? config.Entrypoint ?? []), ...command];
	if (program === undefined) {
		throw new BuildError('IMAGE_UNSUPPORTED', 'the image has neither ENTRYPOINT nor CMD', {
			hint: 'Say what to run: s2oci run IMAGE -- COMMAND [ARGUMENT...]',
		});
	}
	const user = await findUser(root, contract.user, { allowedUids });
	const asked = Object.fromEntries(environment.map(({ name, value }) => [name, value]));
	const env = { HOME: user.home, ...contract.env, ...asked };
	checkEnvironmentSize(env, 'build');
	return { argv: [program, ...rest], env, cwd: contract.workingDir, user };
}
