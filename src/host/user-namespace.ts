import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { userInfo } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { attempt, BuildError, messageOf } from '../errors.js';
import { fileText } from '../file-text.js';
import { ownIds } from '../linux/capabilities.js';
import { findProgram } from '../program.js';
import type { IdLimits } from '../rootfs/owner.js';
import type { UserNamespace } from '../sandbox/ladder.js';

/** One line of a uid_map or gid_map: `count` ids from `inside` on are those from `outside` on. */
export interface IdRange {
	readonly inside: number;
	readonly outside: number;
	readonly count: number;
}

/** A kind of user namespace that this user may get, best first. */
export interface NamespacePlan {
	readonly kind: UserNamespace;
	readonly uids: readonly IdRange[];
	readonly gids: readonly IdRange[];
	/** Whether there is a mount namespace, and a pid namespace with it. */
	readonly mounts: boolean;
	/** Whether it is of use only where a new /proc can be mounted. */
	readonly ownProc?: boolean;
	/** Whether the root filesystem of the job itself is the one to build in. */
	readonly inPlace?: boolean;
	/** Why not a better kind. */
	readonly reason: string;
}

/** Which user namespace the user wants. */
export type WantedNamespace = 'auto' | UserNamespace;

/** What helps where no user namespace is given. */
export const ALLOW_NAMESPACES: string =
	'Allow user namespaces (sysctl user.max_user_namespaces=28633; Ubuntu 24.04: kernel.apparmor_restrict_unprivileged_userns=0), ' +
	'or run the job with hostUsers: false or as root with CAP_SYS_ADMIN.';

const run = promisify(execFile);
const POLL_MS = 1;
const LIMIT_MS = 5000;

/** The namespaces to try for the user `uid`:`gid`, in order; none when there is no kind as `wanted` for this user. */
export function planNamespaces(uid: number, gid: number, wanted: WantedNamespace = 'auto'): readonly NamespacePlan[] {
	const plans = allPlans(uid, gid);
	if (wanted === 'auto') return plans;
	const asked = wanted === 'single' && plans[0]?.kind !== 'single' ? { reason: 'it was asked for' } : {};
	return plans.filter(({ kind }) => kind === wanted).map((plan) => ({ ...plan, ...asked }));
}

function allPlans(uid: number, gid: number): readonly NamespacePlan[] {
	const single = (reason: string): NamespacePlan => ({
		kind: 'single',
		mounts: true,
		uids: [{ inside: 0, outside: uid, count: 1 }],
		gids: [{ inside: 0, outside: gid, count: 1 }],
		reason,
	});
	if (uid === 0) {
		if (ownIds('uid') === 1) return [single('root is the only id of the user namespace we are in')];
		return [
			// A process could look into those of the job through their /proc, being in the same user namespace.
			{ kind: 'none', mounts: true, ownProc: true, uids: [], gids: [], reason: 'we are root' },
			{ ...single('root may not make a mount namespace here'), ownProc: true },
			{ kind: 'none', mounts: false, uids: [], gids: [], reason: 'root may not make namespaces here' },
			single('root may not change its root directory here'),
		];
	}
	const user = userName(uid);
	const [uids, gids] = [readSubIds('/etc/subuid', user, uid), readSubIds('/etc/subgid', user, uid)];
	if (uids.length === 0 || gids.length === 0) return [single(`${user} has no range in /etc/subuid and /etc/subgid`)];
	const own = { inside: 0, count: 1 };
	const full: NamespacePlan = {
		kind: 'full',
		mounts: true,
		uids: [{ ...own, outside: uid }, ...uids],
		gids: [{ ...own, outside: gid }, ...gids],
		reason: `${user} has a range in /etc/subuid`,
	};
	return [full, single('newuidmap or newgidmap refused the range in /etc/subuid')];
}

/** No namespace at all: the build is made in the root filesystem that we are in. */
export function inPlacePlan(reason: string): NamespacePlan {
	return { kind: 'none', mounts: false, inPlace: true, uids: [], gids: [], reason };
}

/** How many ids from 0 on the ranges map. */
export function countIds(ranges: readonly IdRange[]): number {
	return ranges.reduce((sum, range) => sum + range.count, 0);
}

/** How many ids a plan maps from 0 on. In place no owner on disk means anything, as with a single id. */
export function idsOf({ kind, inPlace, uids, gids }: NamespacePlan): IdLimits {
	if (inPlace === true) return { uids: 1, gids: 1 };
	return kind === 'none'
		? { uids: ownIds('uid'), gids: ownIds('gid') }
		: { uids: countIds(uids), gids: countIds(gids) };
}

/** A short name for the way a plan maps ids; files unpacked under one mapping have the wrong owners under another. */
export function mappingName({ kind, uids, gids }: NamespacePlan): string {
	if (kind !== 'full') return kind;
	return `full-${createHash('sha256')
		.update(JSON.stringify([uids, gids]))
		.digest('hex')
		.slice(0, 8)}`;
}

/** Waits until the process `pid` is in a user namespace of its own, then maps its ids by newuidmap. Throws when that is refused. */
export async function mapIds(
	pid: number,
	plan: NamespacePlan,
	path: string | undefined,
	signal: AbortSignal,
): Promise<void> {
	await entered(pid, signal);
	await runMapper('newuidmap', pid, plan.uids, path, signal);
	await runMapper('newgidmap', pid, plan.gids, path, signal);
}

/** HOST_NO_NAMESPACES with what each attempt met, and with what helps. */
export function noNamespaces(reason: string, hint: string = ALLOW_NAMESPACES): BuildError {
	return new BuildError('HOST_NO_NAMESPACES', `this host gives us no namespaces to build in: ${reason}`, { hint });
}

async function entered(pid: number, signal: AbortSignal): Promise<void> {
	const own = readlinkSync('/proc/self/ns/user');
	for (let waited = 0; waited < LIMIT_MS; waited += POLL_MS) {
		signal.throwIfAborted();
		if (readlinkSync(`/proc/${pid}/ns/user`) !== own) return;
		await delay(POLL_MS);
	}
	throw new Error('the user namespace did not appear');
}

async function runMapper(
	name: 'newuidmap' | 'newgidmap',
	pid: number,
	ranges: readonly IdRange[],
	path: string | undefined,
	signal: AbortSignal,
): Promise<void> {
	const program = findProgram(name, path);
	if (program === undefined) throw new Error(`${name} is not installed (package uidmap or shadow-utils)`);
	try {
		await run(program, [String(pid), ...formatMap(ranges)], { timeout: LIMIT_MS, signal });
	} catch (error) {
		throw new Error(`${name} failed: ${messageOf(error).trim().split('\n').at(-1) ?? ''}`, { cause: error });
	}
}

function formatMap(ranges: readonly IdRange[]): readonly string[] {
	return ranges.flatMap(({ inside, outside, count }) => [String(inside), String(outside), String(count)]);
}

/** The number where the user has no name, or is not the one that we are. */
function userName(uid: number): string {
	return (uid === process.geteuid?.() ? attempt(() => userInfo().username) : undefined) ?? String(uid);
}

/** subuid(5): `user:start:count`, by name or by number; several ranges follow each other. */
function readSubIds(file: string, user: string, uid: number): readonly IdRange[] {
	let inside = 1;
	const lines = fileText(file).split('\n');
	return lines.flatMap((line) => {
		const [name, start, count] = line.split(':');
		if ((name !== user && name !== String(uid)) || !/^\d+$/.test(start ?? '') || !/^\d+$/.test(count ?? '')) return [];
		const range = { inside, outside: Number(start), count: Number(count) };
		inside += range.count;
		return range.count > 0 ? [range] : [];
	});
}
