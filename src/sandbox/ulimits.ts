import { readFileSync } from 'node:fs';
import { capabilitySet } from '../linux/capabilities.js';
import { findProgram } from '../program.js';
import { type Ulimit, UNLIMITED } from './limits.js';
import type { SandboxSpec } from './sandbox.js';
import { SANDBOXES, type SandboxName } from './sandboxes.js';

/** The limits that a sandbox can set, and one line for each that it cannot, or not as high. */
export interface PossibleUlimits {
	readonly ulimits: readonly Ulimit[];
	readonly unenforced: readonly string[];
}

/** Number (asm-generic/resource.h, as on x64 and arm64) and name in /proc/PID/limits of each. */
const RESOURCES: ReadonlyMap<string, { readonly number: number; readonly title: string }> = new Map([
	['as', { number: 9, title: 'Max address space' }],
	['core', { number: 4, title: 'Max core file size' }],
	['cpu', { number: 0, title: 'Max cpu time' }],
	['data', { number: 2, title: 'Max data size' }],
	['fsize', { number: 1, title: 'Max file size' }],
	['locks', { number: 10, title: 'Max file locks' }],
	['memlock', { number: 8, title: 'Max locked memory' }],
	['msgqueue', { number: 12, title: 'Max msgqueue size' }],
	['nice', { number: 13, title: 'Max nice priority' }],
	['nofile', { number: 7, title: 'Max open files' }],
	['nproc', { number: 6, title: 'Max processes' }],
	['rss', { number: 5, title: 'Max resident set' }],
	['rtprio', { number: 14, title: 'Max realtime priority' }],
	['rttime', { number: 15, title: 'Max realtime timeout' }],
	['sigpending', { number: 11, title: 'Max pending signals' }],
	['stack', { number: 3, title: 'Max stack size' }],
]);
const CAP_SYS_RESOURCE = 24n;

/** Which of `spec.limits.ulimits` the sandbox `name` can set for a child of this process. What is too high becomes the highest possible. */
export function possibleUlimits(name: SandboxName, spec: SandboxSpec, hostPath: string): PossibleUlimits {
	const { ulimits } = spec.limits;
	if (ulimits.length === 0) return { ulimits, unenforced: [] };
	const by = SANDBOXES[name].ulimits;
	if (by === undefined) return { ulimits: [], unenforced: ['--ulimit: there is no sandbox to set it'] };
	if (by === 'prlimit' && findProgram('prlimit', hostPath) === undefined) {
		return { ulimits: [], unenforced: [`--ulimit: ${name} needs the program prlimit (util-linux) for it`] };
	}
	const user = by === 'prlimit' ? spec.process.user.uid : 0;
	const raises = spec.userNamespace === 'none' && user === 0 && mayRaise(readFileSync('/proc/self/status', 'utf8'));
	return fitUlimits(ulimits, readFileSync('/proc/self/limits', 'utf8'), raises);
}

/** The number of the limit `name` for setrlimit(2); undefined when Linux has no such limit. */
export function resourceOf(name: string): number | undefined {
	return RESOURCES.get(name)?.number;
}

/** `limits` is the text of /proc/PID/limits; `raises` says whether that process may go beyond them (CAP_SYS_RESOURCE). */
export function fitUlimits(ulimits: readonly Ulimit[], limits: string, raises: boolean): PossibleUlimits {
	const unenforced: string[] = [];
	const fitted = ulimits.flatMap((ulimit) => {
		const highest = hardLimit(limits, ulimit.name);
		if (highest === undefined) {
			unenforced.push(`--ulimit ${ulimit.name}: Linux has no such limit`);
			return [];
		}
		const hard = raises ? ulimit.hard : lower(ulimit.hard, highest);
		if (hard !== ulimit.hard) {
			unenforced.push(`--ulimit ${ulimit.name}: it is ${hard}, since only root of the host may raise it beyond that`);
		}
		return [{ name: ulimit.name, soft: lower(ulimit.soft, hard), hard }];
	});
	return { ulimits: fitted, unenforced };
}

function hardLimit(limits: string, name: string): number | undefined {
	const title = RESOURCES.get(name)?.title;
	const line = limits.split('\n').find((each) => title !== undefined && each.startsWith(`${title}  `));
	const [, hard] = line?.slice(title?.length).trim().split(/\s+/) ?? [];
	if (hard === undefined) return undefined;
	return hard === 'unlimited' ? UNLIMITED : Number(hard);
}

function lower(a: number, b: number): number {
	if (a === UNLIMITED) return b;
	return b === UNLIMITED ? a : Math.min(a, b);
}

function mayRaise(status: string): boolean {
	return ((capabilitySet('CapEff', status) >> CAP_SYS_RESOURCE) & 1n) === 1n;
}
