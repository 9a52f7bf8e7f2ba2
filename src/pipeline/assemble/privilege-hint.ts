/** What a process that failed was allowed to be. */
export interface FailedProcess {
	/** Its last lines. */
	readonly lines: string;
	/** Whether all ids of the image are one id of the host. */
	readonly singleId: boolean;
	readonly uid: number;
}

const REFUSALS =
	/operation not permitted|permission denied|invalid argument|value too large|\bE(?:PERM|INVAL|ACCES|OVERFLOW)\b/i;
/** How programs call what only root of several ids can do. */
const CALLS: readonly (readonly [RegExp, string])[] = [
	[/\b(?:[lf]?chown(?:at)?|chgrp)\b|chang(?:e|ing) (?:the )?(?:owner|group)|set(?:ting)? (?:the )?ownership/i, 'chown'],
	[/\bsetgroups\b|\binitgroups\b/i, 'setgroups'],
	[/\bset(?:e|re|res)?[ug]id\b|cannot set (?:user|group) id/i, 'setuid'],
	[/\bmknod\b/i, 'mknod'],
];
const WAY_OUT =
	'Give the user who runs s2oci a range of ids (sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER, and the ' +
	'package uidmap), or run the job as root.';

/** What to do when a process failed because it had but one id; undefined when there is no sign of that. */
export function privilegeHint({ lines, singleId, uid }: FailedProcess): string | undefined {
	if (!singleId) return undefined;
	const refused = lines.split('\n').filter((line) => REFUSALS.test(line));
	const found = CALLS.find(([words]) => refused.some((line) => words.test(line)));
	if (found !== undefined) {
		return `This host gives the build one user id only, with which ${found[1]} to another id fails. ${WAY_OUT}`;
	}
	if (uid !== 0) return undefined;
	return `It runs as root, but this host gives the build one user id only. If it needs others: ${WAY_OUT}`;
}
