import { BuildError } from '../../errors.js';
import type { ArtifactOutput, SavedArtifacts } from '../../protocol/artifacts.js';
import type { Contract } from '../../s2i/contract.js';
import type { User } from '../../s2i/users.js';
import type { BuildContext } from '../context.js';
import type { Root, RunEnded } from '../root.js';

/** A save-artifacts script, and where it runs. */
export interface SaveRun extends ArtifactOutput {
	/** A prepared root filesystem. */
	readonly root: Root;
	/** Absolute path of the script in it. */
	readonly path: string;
	/** Of the image in `root`. */
	readonly contract: Pick<Contract, 'env' | 'workingDir'>;
	readonly user: User;
}

/**
 * Runs save-artifacts and keeps what it writes. It gets no variables but the image's own and HOME; what it prints on stderr is passed on.
 * Throws ASSEMBLE_FAILED when it does not end with status 0, LAYER_INVALID when it wrote no archive, HOST_NO_SPACE, HOST_NO_SANDBOX.
 */
export async function runSaveArtifacts(
	run: SaveRun,
	{ request, record }: Pick<BuildContext, 'request' | 'record'>,
): Promise<SavedArtifacts> {
	const { root, path, contract, user, directory, owner, pack } = run;
	const ended = await root.saveArtifacts({
		process: { argv: [path], env: { HOME: user.home, ...contract.env }, cwd: contract.workingDir, user },
		limits: request.assemble.limits,
		timeoutMs: request.assemble.assembleTimeout,
		...{ directory, owner, pack },
	});
	checkEnd(path, ended);
	for (const notice of ended.notices) {
		record.emit({ type: 'warning', code: 'SAVE_ARTIFACTS', message: `save-artifacts: ${notice}` });
	}
	return ended;
}

function checkEnd(path: string, { exit, status, problem, lastLines: lines }: RunEnded<'saveArtifacts'>): void {
	if (status === 0 && problem === undefined) return;
	if (status === 0) throw new BuildError('LAYER_INVALID', `save-artifacts (${path}): ${problem ?? ''}`);
	const how = exit.type === 'code' ? `with status ${String(exit.code)}` : `by signal ${exit.signal}`;
	const said = lines === '' ? '' : `. Its last lines:\n${lines}\n`;
	throw new BuildError('ASSEMBLE_FAILED', `save-artifacts (${path}) ended ${how}${said}`);
}
