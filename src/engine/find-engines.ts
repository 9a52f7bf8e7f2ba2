import { BuildError, messageOf } from '../errors.js';
import { type Engine, openEngine } from './engine.js';
import { ask, type Environment, findTool } from './tool.js';

/** The local engines that can be used, the preferred one first; and why others cannot. */
export interface FoundEngines {
	readonly engines: readonly Engine[];
	readonly problems: readonly string[];
}

const ANSWER_MS = 10_000;

/**
 * Docker when its daemon answers, then podman when it is installed; or the one that `S2OCI_ENGINE` names, unasked. Throws USAGE for
 * another value than `docker`, `podman` and `none`, and ENGINE_UNAVAILABLE when the one that it names is not installed.
 */
export async function findEngines(env: Environment, signal: AbortSignal): Promise<FoundEngines> {
	const wanted = env['S2OCI_ENGINE'] ?? '';
	if (wanted === 'none') return { engines: [], problems: ['S2OCI_ENGINE is none'] };
	if (wanted === 'docker') return { engines: [openEngine('docker-daemon', env)], problems: [] };
	if (wanted === 'podman') return { engines: [openEngine('podman', env)], problems: [] };
	if (wanted !== '') {
		throw new BuildError('USAGE', `S2OCI_ENGINE does not take ${JSON.stringify(wanted.slice(0, 50))}`, {
			hint: 'Use docker, podman or none; without it, the engine that answers is taken.',
		});
	}
	const found = await Promise.all([findDocker(env, signal), findPodman(env)]);
	return {
		engines: found.flatMap((each) => (typeof each === 'string' ? [] : [each])),
		problems: found.flatMap((each) => (typeof each === 'string' ? [each] : [])),
	};
}

async function findDocker(env: Environment, signal: AbortSignal): Promise<Engine | string> {
	try {
		const engine = openEngine('docker-daemon', env);
		const args = ['version', '--format', '{{.Server.Version}}'];
		const { ok } = await ask(findTool('docker', env), args, signal, ANSWER_MS);
		return ok ? engine : 'docker does not reach its daemon';
	} catch (error) {
		signal.throwIfAborted();
		return messageOf(error);
	}
}

async function findPodman(env: Environment): Promise<Engine | string> {
	try {
		return await Promise.resolve(openEngine('podman', env));
	} catch (error) {
		return messageOf(error);
	}
}
