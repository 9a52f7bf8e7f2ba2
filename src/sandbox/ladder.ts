/** The user namespace of a worker: that of the job, one with a range of ids, or one with a single id. */
export type UserNamespace = 'none' | 'full' | 'single';

/** How an image is laid out for assemble to change it: on an overlay, as a copy, or as the root file system of the job itself. */
export type Rootfs = 'overlay' | 'copy' | 'in-place';

/** Whether `rootfs` is the root file system of the job itself: nothing is unpacked, mounted or sandboxed, and there is one. */
export function isInPlace(rootfs: Rootfs | 'auto'): rootfs is 'in-place' {
	return rootfs === 'in-place';
}

/** Whether with `rootfs` the files of the image are copied, to a file system that can be anything. */
export function isCopied(rootfs: Rootfs | 'auto'): rootfs is 'copy' {
	return rootfs === 'copy';
}

/** Where a worker is. */
export interface Place {
	readonly userNamespace: UserNamespace;
	readonly rootfs: Rootfs;
	/** Whether it may mount, in a mount namespace of its own. */
	readonly mounts: boolean;
}

/** The steps of the privilege ladder; 1 is the best. */
export type RungNumber = 1 | 2 | 3 | 4 | 5 | 6;

/** A step of the privilege ladder (docs/rungs.md), and every place that is on it. What is not said of the place may be anything. */
export interface LadderStep {
	readonly number: RungNumber;
	/** For people. */
	readonly name: string;
	readonly place: Partial<Place> & Pick<Place, 'rootfs'>;
}

/** The last step: a job in the builder image. */
export const IN_PLACE: LadderStep = { number: 6, name: 'in place', place: { rootfs: 'in-place' } };

/** The privilege ladder, best first. */
export const LADDER: readonly LadderStep[] = [
	{ number: 1, name: 'root with mounts', place: { rootfs: 'overlay', userNamespace: 'none', mounts: true } },
	{ number: 2, name: 'full subuid range', place: { rootfs: 'overlay', userNamespace: 'full' } },
	{ number: 3, name: 'single uid', place: { rootfs: 'overlay', userNamespace: 'single' } },
	{ number: 4, name: 'no overlay: copy', place: { rootfs: 'copy', mounts: true } },
	{ number: 5, name: 'root without namespaces: chroot', place: { rootfs: 'copy', mounts: false } },
	IN_PLACE,
];

/** Whether a worker of these namespaces can be on `step`. */
export function isOn(step: LadderStep, { userNamespace, mounts }: Omit<Place, 'rootfs'>): boolean {
	const wanted = step.place;
	return (wanted.userNamespace ?? userNamespace) === userNamespace && (wanted.mounts ?? mounts) === mounts;
}

/** The number of the rung that `place` is on. */
export function rungNumber(place: Place): RungNumber {
	const found = LADDER.find((step) => step.place.rootfs === place.rootfs && isOn(step, place));
	if (found === undefined) throw new Error(`no rung is ${JSON.stringify(place)}`);
	return found.number;
}
