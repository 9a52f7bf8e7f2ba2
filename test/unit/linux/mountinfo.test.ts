import { existsSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseMountPoints, readMountPoints } from '../../../src/linux/mountinfo.js';
import { fsPath } from '../../../src/root-path.js';

/** As the kernel writes it (fs/proc_namespace.c). */
function escaped(path: string): string {
	return path.replace(/[ \t\n\\#]/g, (each) => `\\${each.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

const line = (point: string): string =>
	`36 35 98:0 /root${escaped(point)} ${escaped(point)} rw,noatime shared:1 - ext3 /dev/root rw,errors=continue`;

describe('mount points', () => {
	test('are the fifth field of each line, each named once', () => {
		expect(parseMountPoints(`${line('/')}\n${line('/proc')}\n${line('/proc')}\n`)).toEqual(['/', '/proc']);
	});

	test('come back as the bytes that the kernel had escaped', () => {
		const path = fc.stringMatching(/^(?:\/[ \t\n\\#a-z0-9\x80-\xff]{1,8}){1,3}$/);
		fc.assert(
			fc.property(fc.uniqueArray(path, { maxLength: 5 }), (points) => {
				expect(parseMountPoints(points.map(line).join('\n'))).toEqual(points);
			}),
		);
	});

	test('are none in what is no mountinfo', () => {
		expect(parseMountPoints('')).toEqual([]);
		expect(parseMountPoints('a b c\n\n1 2 3 4 relative 6')).toEqual([]);
	});

	test('of this process exist, and /proc is among them', () => {
		const points = readMountPoints();
		expect(points).toContain('/proc');
		expect(points.some((point) => existsSync(fsPath(point)))).toBe(true);
	});
});
