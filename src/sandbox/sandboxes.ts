import { isInPlace, type Place } from './ladder.js';

/** Whose processes a /proc shows: `job` where the kernel refuses a new one, because parts of that of the job are masked. */
export type Proc = 'own' | 'job';

export type SandboxName = 'runc' | 'crun' | 'bwrap' | 'chroot' | 'none';

/** A worker, as far as it decides which sandboxes can run in it. */
export interface SandboxPlace extends Place {
	readonly proc: Proc;
}

/** What a sandbox needs of the place it runs in, and what it gives. */
export interface Sandbox {
	/** The program of the host that it is; it is ours when undefined. */
	readonly program: string | undefined;
	/** Whether it can run where `place` is, as far as that can be told without an attempt. */
	readonly fits: (place: SandboxPlace) => boolean;
	/** Whether there is something that it can do without (`SandboxRun.less`). */
	readonly hasLess: boolean;
	/** Whether its process has namespaces of its own, so that it can be without network. */
	readonly hasNamespaces: (place: Pick<Place, 'mounts'>) => boolean;
	/** Who sets its limits: itself as root, the program prlimit as the process's user, or nobody. */
	readonly ulimits: 'root' | 'prlimit' | undefined;
	/** Whether, with a single id, it shows the user of the process as root. */
	readonly showsRoot: boolean;
	/** Whether it copies what the process writes through pipes of its own. */
	readonly copiesOutput: boolean;
	/** Whether it reads the image's passwd and group, also for a user that is a number. */
	readonly readsUserFiles: boolean;
}

const OCI_RUNTIME: Omit<Sandbox, 'program'> = {
	fits: ({ rootfs, mounts, proc }) => !isInPlace(rootfs) && mounts && proc === 'own',
	hasLess: true,
	hasNamespaces: () => true,
	ulimits: 'root',
	showsRoot: true,
	copiesOutput: true,
	readsUserFiles: false,
};

/** Every sandbox, best first. */
export const SANDBOXES: Readonly<Record<SandboxName, Sandbox>> = {
	runc: { ...OCI_RUNTIME, program: 'runc', readsUserFiles: true },
	crun: { ...OCI_RUNTIME, program: 'crun' },
	bwrap: { ...OCI_RUNTIME, program: 'bwrap', ulimits: 'prlimit', showsRoot: false, copiesOutput: false },
	/** A changed root directory: all there is without mounts, and where a new /proc is refused. */
	chroot: {
		program: undefined,
		fits: ({ rootfs }) => !isInPlace(rootfs),
		hasLess: true,
		hasNamespaces: ({ mounts }) => mounts,
		ulimits: 'root',
		showsRoot: false,
		copiesOutput: false,
		readsUserFiles: false,
	},
	/** In place. */
	none: {
		program: undefined,
		fits: ({ rootfs }) => isInPlace(rootfs),
		hasLess: false,
		hasNamespaces: () => false,
		ulimits: undefined,
		showsRoot: false,
		copiesOutput: false,
		readsUserFiles: false,
	},
};

/** Every name in {@link SANDBOXES}, best first. */
export const SANDBOX_NAMES = Object.keys(SANDBOXES) as readonly SandboxName[];

/** The sandboxes to try in `place` as `isolation` wants it, best first; with a single id, those that show the user as root come last. */
export function orderSandboxes(isolation: SandboxName | 'auto', place: SandboxPlace): readonly SandboxName[] {
	const possible = SANDBOX_NAMES.filter((name) => SANDBOXES[name].fits(place));
	const wanted = possible.filter((name) => isolation === 'auto' || name === isolation);
	return place.userNamespace === 'single' ? putLast(wanted, 'showsRoot') : wanted;
}

/** `names` in their order, those for which `trait` holds behind the others. */
export function putLast(names: readonly SandboxName[], trait: 'showsRoot' | 'copiesOutput'): readonly SandboxName[] {
	return [...names].sort((a, b) => Number(SANDBOXES[a][trait]) - Number(SANDBOXES[b][trait]));
}
