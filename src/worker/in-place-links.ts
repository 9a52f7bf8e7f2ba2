import { BuildError } from '../errors.js';
import { printablePath, type RootPath } from '../root-path.js';
import type { BaseTree } from '../rootfs/merge.js';
import type { CheckLink } from '../rootfs/resolve-in-root.js';

/**
 * Refuses links that neither the image, which is `base`, nor root nor this user made: another step of the job may have left them. Throws
 * HOST_IN_PLACE.
 */
export function createLinkCheck(base: BaseTree): CheckLink {
	const trusted = [0, process.getuid?.() ?? 0];
	return (path, target, { uid }) => {
		const declared = base.get(path)?.entry;
		const isImages = declared?.type === 'symlink' && declared.target === target;
		if (!trusted.includes(uid) && !isImages) throw foreignLink(path, uid);
	};
}

function foreignLink(path: RootPath, uid: number): BuildError {
	const message = `"/${printablePath(path)}" of this container is a link of user ${uid}, which the builder image does not have`;
	return new BuildError('HOST_IN_PLACE', message, {
		hint: 'The build puts and reads nothing where a link of another user leads. Remove it, or choose another --destination.',
	});
}
