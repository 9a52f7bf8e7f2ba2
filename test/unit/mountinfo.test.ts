import { existsSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lockedFlags, parseMounts, readMountPoints } from '../../src/mountinfo.js';
import { fsPath } from '../../src/root-path.js';

/** As the kernel writes it (fs/proc_namespace.c). */
function escaped(path: string): string {
	return path.replace(/[ \t\n\\#]/g, (each) => `\\${each.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

const line = (point: string): string =>
	`36 35 98:0 /root${escaped(point)} ${escaped(point)} rw,noatime shared:1 - ext3 /dev/root rw,errors=continue`;

const pointsIn = (text: string) => parseMounts(text).map(({ path }) => path);

describe('mount points', () => {
	test('are the fifth field of each line', () => {
		expect(pointsIn(`${line('/')}\n${line('/proc')}\n${line('/proc')}\n`)).toEqual(['/', '/proc', '/proc']);
	});

	test('come back as the bytes that the kernel had escaped', () => {
		const path = fc.stringMatching(/^(?:\/[ \t\n\\#a-z0-9\x80-\xff]{1,8}){1,3}$/);
		fc.assert(
			fc.property(fc.uniqueArray(path, { maxLength: 5 }), (points) => {
				expect(pointsIn(points.map(line).join('\n'))).toEqual(points);
			}),
		);
	});

	test('say what a remount in a user namespace must repeat', () => {
		const [mount] = parseMounts(line('/').replace('rw,noatime', 'ro,nosuid,nodev,noexec,relatime'));
		expect(mount === undefined ? 0 : lockedFlags(mount)).toBe(2 | 4 | 8);
	});

	test('are none in what is no mountinfo', () => {
		expect(pointsIn('')).toEqual([]);
		expect(pointsIn('a b c\n\n1 2 3 4 relative 6')).toEqual([]);
	});

	test('of this process exist, and /proc is among them', () => {
		const points = readMountPoints();
		expect(points).toContain('/proc');
		expect(points.some((point) => existsSync(fsPath(point)))).toBe(true);
	});
});
