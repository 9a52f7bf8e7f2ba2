import { latin1Path, printablePath, type RawPath } from '../../root-path.js';
import type { LayerMember, LayerMembers } from '../../tar/layer-members.js';
import { type Difference, explainContent } from './explain-content.js';

/** The paths at which two layers differ, sorted by their bytes. */
export function differingPaths(first: LayerMembers, second: LayerMembers): readonly RawPath[] {
	const all = new Set([...first.keys(), ...second.keys()]);
	return [...all].filter((path) => !isSame(first.get(path), second.get(path))).sort();
}

/** What the likely cause of a difference at `path` is. At least one of the members is there. */
export async function explainDifference(
	path: RawPath,
	first: LayerMember | undefined,
	second: LayerMember | undefined,
): Promise<Difference> {
	const at = printablePath(path);
	if (first === undefined) return { path: at, cause: 'only-once', reason: 'is only in the second build' };
	if (second === undefined) return { path: at, cause: 'only-once', reason: 'is only in the first build' };
	const attributes = differingAttributes(first, second);
	if (attributes.length > 0) return { path: at, cause: 'attributes', reason: attributes.join(', ') };
	if (first.content === undefined || second.content === undefined) {
		return { path: at, cause: 'unknown', reason: 'differs, and is too large to look into' };
	}
	return { path: at, ...(await explainContent(at, first.content, second.content)) };
}

function isSame(first: LayerMember | undefined, second: LayerMember | undefined): boolean {
	if (first === undefined || second === undefined) return false;
	return first.sha256 === second.sha256 && differingAttributes(first, second).length === 0;
}

function differingAttributes({ entry: first }: LayerMember, { entry: second }: LayerMember): readonly string[] {
	const changes: readonly (readonly [string, string | number, string | number])[] = [
		['type', first.type, second.type],
		['mode', first.mode.toString(8), second.mode.toString(8)],
		['owner', `${first.uid}:${first.gid}`, `${second.uid}:${second.gid}`],
		['time', first.mtime, second.mtime],
		['link target', printablePath(first.linkPath), printablePath(second.linkPath)],
		['device', `${first.deviceMajor}:${first.deviceMinor}`, `${second.deviceMajor}:${second.deviceMinor}`],
		['extended attributes', xattrsOf(first), xattrsOf(second)],
	];
	return changes.flatMap(([name, one, other]) => (one === other ? [] : `has the ${name} ${one}, then ${other}`));
}

function xattrsOf({ xattrs }: LayerMember['entry']): string {
	return [...xattrs]
		.map(([name, value]) => `${printablePath(latin1Path(name))}=${value.toString('hex')}`)
		.sort()
		.join(' ');
}
