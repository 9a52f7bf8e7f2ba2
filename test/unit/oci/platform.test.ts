import { describe, expect, test } from 'vitest';
import { formatPlatform, hostPlatform, parsePlatform, platformRank } from '../../../src/oci/platform.js';

test.each(['linux/amd64', 'linux/arm64/v8', 'linux/arm/v7'])('%s is read and written', (text) => {
	expect(formatPlatform(parsePlatform(text))).toBe(text);
});

test.each(['', 'linux', 'linux/', '/amd64', 'linux/arm/v7/x', 'linux/am d64'])('%j is not a platform', (text) => {
	expect(() => parsePlatform(text)).toThrow(expect.objectContaining({ code: 'USAGE' }) as Error);
});

test.each([
	['x64', 'linux/amd64'],
	['arm64', 'linux/arm64'],
	['arm', 'linux/arm/v7'],
	['s390x', 'linux/s390x'],
])('a host of Node architecture %s is %s', (arch, platform) => {
	expect(formatPlatform(hostPlatform(arch))).toBe(platform);
});

describe('platformRank', () => {
	test.each([
		['linux/amd64', 'linux/amd64', true],
		['linux/amd64', 'linux/amd64/v1', true],
		['linux/amd64', 'linux/amd64/v3', false],
		['linux/arm64', 'linux/arm64/v8', true],
		['linux/arm64/v8', 'linux/arm64', true],
		['linux/arm64', 'linux/arm64/v9', false],
		['linux/arm/v7', 'linux/arm/v6', true],
		['linux/arm/v6', 'linux/arm/v7', false],
		['linux/amd64', 'linux/arm64', false],
		['linux/amd64', 'windows/amd64', false],
		['linux/mips/softfloat', 'linux/mips/softfloat', true],
	])('a host of %s runs %s: %s', (wanted, offered, runs) => {
		expect(platformRank(parsePlatform(wanted), parsePlatform(offered)) !== undefined).toBe(runs);
	});
});
