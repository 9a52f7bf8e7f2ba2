import { BuildError } from '../errors.js';
import { redact } from '../redact.js';

/** Who a process runs as, in the image's ids. */
export interface User {
	readonly uid: number;
	readonly gid: number;
	/** Supplementary groups, sorted, without `gid`. */
	readonly additionalGids: readonly number[];
	readonly home: string;
}

interface PasswdEntry {
	readonly name: string;
	readonly uid: number;
	readonly gid: number;
	readonly home: string;
}

interface GroupEntry {
	readonly name: string;
	readonly gid: number;
	readonly members: readonly string[];
}

const MAX_FILE = 1024 * 1024;
const MAX_LINE = 4096;
/** As runc has it: ids above are -1 and its neighbours to some system call. */
const MAX_ID = 2 ** 31 - 1;
/** Leading zeros are nothing special (Go, strconv.Atoi). */
const NUMBER = /^\d+$/;
const NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,255}\$?$/;

/**
 * The user that `text` (`[uid|name][:[gid|group]]`; no user is root, no group is the user's) means in an image with these `/etc/passwd`
 * and `/etc/group` texts, as engines read it (moby/sys/user, GetExecUser): a number is an id even where a user has it as name, a uid
 * without entry has gid 0 and home `/`, and an explicit group means no supplementary ones.
 * Throws IMAGE_INVALID for unknown names, ids over 2^31-1, and anything that is neither a number nor a name (CVE-2022-2990 class).
 */
export function resolveUser(text: string, passwd: string, group: string): User {
	const [userPart = '', groupPart = '', ...rest] = text.split(':');
	if (rest.length > 0) throw userInvalid(text, 'has more than one colon');
	const { entry, uid } = findUser(userPart === '' ? '0' : userPart, parsePasswd(passwd), text);
	const groups = parseGroup(group);
	const home = entry?.home ?? '/';
	if (groupPart !== '') return { uid, gid: findGid(groupPart, groups, text), additionalGids: [], home };
	const gid = entry?.gid ?? 0;
	return { uid, gid, additionalGids: entry === undefined ? [] : memberships(entry.name, groups, gid), home };
}

function findUser(
	part: string,
	users: readonly PasswdEntry[],
	text: string,
): { readonly entry: PasswdEntry | undefined; readonly uid: number } {
	if (NUMBER.test(part)) {
		const uid = checkId(part, text);
		return { entry: users.find((user) => user.uid === uid), uid };
	}
	const named = users.find(({ name }) => name === part);
	if (named !== undefined) return { entry: named, uid: named.uid };
	checkName(part, text, 'user');
	throw userInvalid(text, 'is not in the /etc/passwd of the image');
}

function findGid(part: string, groups: readonly GroupEntry[], text: string): number {
	if (NUMBER.test(part)) return checkId(part, text);
	const entry = groups.find(({ name }) => name === part);
	if (entry !== undefined) return entry.gid;
	checkName(part, text, 'group');
	throw userInvalid(text, 'has a group that is not in the /etc/group of the image');
}

function memberships(name: string, groups: readonly GroupEntry[], gid: number): readonly number[] {
	const gids = groups.filter(({ members }) => members.includes(name)).map((entry) => entry.gid);
	return [...new Set(gids)].filter((each) => each !== gid).sort((a, b) => a - b);
}

function parsePasswd(text: string): readonly PasswdEntry[] {
	return splitLines(text).flatMap(([name = '', , uid = '', gid = '', , home = '']) => {
		if (!isId(uid) || !isId(gid) || name === '') return [];
		return [{ name, uid: Number(uid), gid: Number(gid), home: home.startsWith('/') ? home : '/' }];
	});
}

function parseGroup(text: string): readonly GroupEntry[] {
	return splitLines(text).flatMap(([name = '', , gid = '', members = '']) => {
		if (!isId(gid) || name === '') return [];
		return [{ name, gid: Number(gid), members: members.split(',').map((member) => member.trim()) }];
	});
}

function splitLines(text: string): readonly string[][] {
	return text
		.slice(0, MAX_FILE)
		.split('\n')
		.filter((line) => line.length <= MAX_LINE && !line.startsWith('#') && !line.includes('\0'))
		.map((line) => line.trim().split(':'));
}

function isId(text: string): boolean {
	return NUMBER.test(text) && Number(text) <= MAX_ID;
}

function checkId(part: string, text: string): number {
	if (isId(part)) return Number(part);
	throw userInvalid(text, `has an id above ${MAX_ID}`);
}

function checkName(part: string, text: string, what: string): void {
	if (!NAME.test(part)) throw userInvalid(text, `has a ${what} that is neither a number nor a name`);
}

function userInvalid(text: string, problem: string): BuildError {
	return new BuildError('IMAGE_INVALID', `the USER ${JSON.stringify(redact(text).slice(0, 100))} ${problem}`, {
		hint: 'Check --assemble-user, and USER and the label io.openshift.s2i.assemble-user of the image.',
	});
}
