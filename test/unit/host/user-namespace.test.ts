import { describe, expect, test } from 'vitest';
import { countIds, mappingName, type NamespacePlan, planNamespaces } from '../../../src/host/user-namespace.js';

const full = (outside: number): NamespacePlan => ({
	kind: 'full',
	mounts: true,
	uids: [
		{ inside: 0, outside: 1000, count: 1 },
		{ inside: 1, outside, count: 65_536 },
	],
	gids: [{ inside: 0, outside: 1000, count: 1 }],
	reason: '',
});

describe('the user namespaces to try', () => {
	test('are none for root with a /proc, then one id with one, then none and no mounts, then one id at all', () => {
		const plans = planNamespaces(0, 0).map(({ kind, mounts, ownProc = false }) => [kind, mounts, ownProc]);
		expect(plans).toEqual([
			['none', true, true],
			['single', true, true],
			['none', false, false],
			['single', true, false],
		]);
	});

	test('are for a reason of their own when one kind is asked for that is not the best', () => {
		const reasons = planNamespaces(0, 0, 'single').map(({ reason }) => reason);
		expect(reasons).toEqual(['it was asked for', 'it was asked for']);
	});

	test('are one id that is root inside for a user without subordinate ids', () => {
		expect(planNamespaces(4_000_000_001, 4_000_000_002, 'single')).toEqual(
			planNamespaces(4_000_000_001, 4_000_000_002),
		);
		const plans = planNamespaces(4_000_000_001, 4_000_000_002);
		expect(plans.at(-1)).toMatchObject({
			kind: 'single',
			uids: [{ inside: 0, outside: 4_000_000_001, count: 1 }],
			gids: [{ inside: 0, outside: 4_000_000_002, count: 1 }],
		});
		for (const { reason } of plans) expect(reason).not.toBe('');
	});
});

describe('a mapping of ids', () => {
	test('holds as many ids as its ranges together', () => {
		expect([countIds(full(100_000).uids), countIds([])]).toEqual([65_537, 0]);
	});

	test('has a name of its own when its ranges differ, since unpacked owners do', () => {
		const [single, none] = [planNamespaces(0, 0).at(1), planNamespaces(0, 0).at(0)];
		const names = [full(100_000), full(200_000), ...(single && none ? [single, none] : [])].map(mappingName);
		expect(new Set(names).size).toBe(4);
		expect(mappingName(full(100_000))).toBe(mappingName(full(100_000)));
		for (const name of names) expect(name).toMatch(/^[a-z0-9-]+$/);
	});
});
