import { BuildError } from '../errors.js';
import { redact } from '../redact.js';

type ToolName = 'podman' | 'docker';

const OTHER_WAYS = 'or push to a registry, or write a file with oci:DIR, which need no engine';
const NO_ANSWER =
	/cannot connect to|is the docker daemon running|connection refused|unable to connect|no such host|dial (?:unix|tcp)|error during connect/i;
const DENIED = /permission denied/i;
const NO_IMAGE = /no such image|image not known|no such object|unable to find|not found: no image/i;

/** ENGINE_UNAVAILABLE for a tool that is not installed. */
export function toolMissing(tool: ToolName): BuildError {
	return new BuildError('ENGINE_UNAVAILABLE', `there is no program ${tool} in PATH`, {
		hint: `Install ${tool}, ${OTHER_WAYS}.`,
	});
}

/** Whether the tool says in `stderr` that it has no such image, and not that something is wrong. */
export function saysNoImage(stderr: string): boolean {
	return NO_IMAGE.test(stderr) && !NO_ANSWER.test(stderr);
}

/** ENGINE_UNAVAILABLE when `stderr` says that the engine behind the tool cannot be reached, else ENGINE_FAILED. */
export function toolFailed(tool: ToolName, args: readonly string[], stderr: string): BuildError {
	const said = lastLines(stderr);
	const reason = said === '' ? 'it said nothing' : said;
	if (NO_ANSWER.test(stderr)) {
		const message = `${tool} does not reach its engine: ${reason}`;
		return new BuildError('ENGINE_UNAVAILABLE', message, { hint: reachHint(tool, DENIED.test(stderr)) });
	}
	return new BuildError('ENGINE_FAILED', `${tool} ${args.slice(0, 2).filter(isWord).join(' ')} failed: ${reason}`, {
		hint: `Try \`${tool} images\` as the same user; if that works, look at the free space of the engine's store.`,
	});
}

/** ENGINE_NO_IMAGE for a name that the engine's store does not have. */
export function noImage(tool: ToolName, name: string): BuildError {
	return new BuildError('ENGINE_NO_IMAGE', `${tool} has no image ${name}`, {
		hint: `\`${tool} images\` lists what this user's store has; for an image on a registry, leave the prefix out.`,
	});
}

function reachHint(tool: ToolName, isDenied: boolean): string {
	if (tool === 'podman') {
		return `Start its socket (systemctl --user start podman.socket), or unset CONTAINER_HOST; ${OTHER_WAYS}.`;
	}
	if (isDenied) return `Let this user use the socket (group docker, then log in again); ${OTHER_WAYS}.`;
	return `Start the Docker daemon, or set DOCKER_HOST to where it listens; ${OTHER_WAYS}.`;
}

function isWord(arg: string): boolean {
	return /^[a-z]+$/.test(arg);
}

/** Without what tools print of their progress. */
function lastLines(stderr: string): string {
	const lines = stderr.split('\n').map((line) => line.trim());
	const telling = lines.filter(
		(line) => line !== '' && !/^(?:Getting image|Copying (?:blob|config)|Writing manifest|Storing sig)/.test(line),
	);
	return redact(telling.slice(-3).join(' ')).slice(0, 500);
}
