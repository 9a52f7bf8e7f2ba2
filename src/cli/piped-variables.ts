import { BuildError, messageOf } from '../errors.js';
import { inheritedPipe, readInheritedPipe } from '../inherited-pipe.js';
import type { BuildRequest } from '../pipeline/request.js';
import { redact } from '../redact.js';

const MAX_BYTES = 1 << 20;
const LIMIT_MS = 60_000;

/**
 * `request` with what comes out of the pipe that its environment file is, as of `-E <(command)`: a build wants the variables more than once.
 * As it is when the file is no such pipe. Throws USAGE when that is more than 1 MiB or has not ended after `limitMs`, and when the source comes
 * from the same pipe.
 */
export async function readPipedVariables(request: BuildRequest, limitMs = LIMIT_MS): Promise<BuildRequest> {
	const { environmentFile: path } = request.variables;
	const descriptor = path === undefined ? undefined : await inheritedPipe(path);
	if (path === undefined || descriptor === undefined) return request;
	const name = JSON.stringify(redact(path));
	if (descriptor === 0 && request.source.location === '-') {
		throw new BuildError('USAGE', `--environment-file: ${name} and the source - are both standard input`, {
			hint: 'Give the variables in a file, or with <(command) in a shell that has it.',
		});
	}
	const bytes = await readInheritedPipe(path, MAX_BYTES, limitMs).catch((cause: unknown) => {
		throw new BuildError('USAGE', `--environment-file: the pipe ${name} cannot be used: ${messageOf(cause)}`, {
			hint: 'What writes to it has to print NAME=VALUE lines, at most 1 MiB, and end; or write them to a file and name that.',
			cause,
		});
	});
	return { ...request, variables: { ...request.variables, environmentText: bytes.toString('utf8') } };
}
