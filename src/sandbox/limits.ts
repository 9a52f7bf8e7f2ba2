import type { Profile } from './profile.js';

/** What one process may use at most, as setrlimit(2) has it. `name` as in Docker (`nofile`); {@link UNLIMITED} is no limit. */
export interface Ulimit {
	readonly name: string;
	readonly soft: number;
	readonly hard: number;
}

/** A limit of a {@link Ulimit} that is none. */
export const UNLIMITED = -1;

/** What a process may use of the host beyond its own files. What a rung cannot enforce is reported, never silently dropped. */
export interface Limits {
	readonly network: 'host' | 'none';
	/** Lines of its own for the process's /etc/hosts. */
	readonly addHosts: readonly { readonly name: string; readonly address: string }[];
	/** Capabilities taken from the default set, `CAP_` names in upper case, or `ALL`. */
	readonly capDrop: readonly string[];
	/** Bytes. */
	readonly memory: number | undefined;
	/** Processors; 1.5 is one and a half. */
	readonly cpus: number | undefined;
	readonly pids: number | undefined;
	readonly ulimits: readonly Ulimit[];
	/** The filter of system calls: ours, none, or another. */
	readonly seccomp: 'default' | 'unconfined' | Profile;
}

/** No limit but the sandbox itself. */
export const NO_LIMITS: Limits = {
	network: 'host',
	addHosts: [],
	capDrop: [],
	memory: undefined,
	cpus: undefined,
	pids: undefined,
	ulimits: [],
	seccomp: 'default',
};
