import { killAll } from '../linux/processes.js';

/**
 * Kills every process of the session `session`; resolves with those that cannot be ended. For what a worker without a pid namespace left
 * when it was killed itself: its children belong to nobody then, but their session stays.
 */
export function killSession(session: number): Promise<readonly number[]> {
	return killAll((processes) => processes.filter((each) => each.session === session));
}
