import { describe, expect, test } from 'vitest';
import {
	IN_PLACE,
	LADDER,
	type Place,
	type Rootfs,
	rungNumber,
	type UserNamespace,
} from '../../../src/sandbox/ladder.js';
import { orderSandboxes, type Proc, SANDBOX_NAMES, type SandboxName } from '../../../src/sandbox/sandboxes.js';

/** Every place that there can be, with its rung and the sandboxes to try there, with a /proc of its own and with that of the job. */
const PLACES: readonly (readonly [
	UserNamespace,
	Rootfs,
	boolean,
	number,
	readonly SandboxName[],
	readonly SandboxName[],
])[] = [
	['none', 'overlay', true, 1, ['runc', 'crun', 'bwrap', 'chroot'], ['chroot']],
	['full', 'overlay', true, 2, ['runc', 'crun', 'bwrap', 'chroot'], ['chroot']],
	['single', 'overlay', true, 3, ['bwrap', 'chroot', 'runc', 'crun'], ['chroot']],
	['none', 'copy', true, 4, ['runc', 'crun', 'bwrap', 'chroot'], ['chroot']],
	['full', 'copy', true, 4, ['runc', 'crun', 'bwrap', 'chroot'], ['chroot']],
	['single', 'copy', true, 4, ['bwrap', 'chroot', 'runc', 'crun'], ['chroot']],
	['none', 'copy', false, 5, ['chroot'], ['chroot']],
	['none', 'in-place', false, 6, ['none'], ['none']],
];

describe.each(PLACES)('%s namespace, %s, mounts %s', (userNamespace, rootfs, mounts, rung, own, job) => {
	const place: Place = { userNamespace, rootfs, mounts };

	test(`is rung ${rung}`, () => {
		expect(rungNumber(place)).toBe(rung);
		expect(LADDER.filter((step) => step.number === rung)).toHaveLength(1);
	});

	test.each<readonly [Proc, readonly SandboxName[]]>([
		['own', own],
		['job', job],
	])('with %s /proc has its sandboxes, best first, of which one can be asked for', (proc, expected) => {
		const there = { ...place, proc };
		expect(orderSandboxes('auto', there)).toEqual(expected);
		for (const name of SANDBOX_NAMES) {
			expect(orderSandboxes(name, there)).toEqual(expected.includes(name) ? [name] : []);
		}
	});
});

test('the ladder is numbered from the best on, and ends in place', () => {
	expect(LADDER.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6]);
	expect(LADDER.at(-1)).toBe(IN_PLACE);
});
