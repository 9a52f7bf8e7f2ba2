import { expect, test } from 'vitest';
import { latin1Path } from '../../../src/root-path.js';
import { createIndexBudget, tooLargeLayer } from '../../../src/rootfs/index-budget.js';

const invalid = expect.objectContaining({ code: 'LAYER_INVALID' }) as Error;
const NO_LINK = latin1Path('');

test('paths, targets of links and extended attributes of one layer have a limit in bytes', () => {
	const mib = 'p'.repeat(2 ** 20);
	const paths = createIndexBudget();
	for (let index = 0; index < 256; index += 1) paths.path(latin1Path(mib));
	expect(() => paths.path(latin1Path('p'))).toThrow(invalid);
	const controls = createIndexBudget();
	expect(() => {
		for (let index = 0; index < 60; index += 1) controls.path(latin1Path('\x01'.repeat(2 ** 20)));
	}).toThrow(invalid);
	const links = createIndexBudget();
	expect(() => {
		for (let index = 0; index < 257; index += 1) links.attributes({ linkPath: latin1Path(mib), xattrs: new Map() });
	}).toThrow(invalid);
	const xattrs = createIndexBudget();
	const large = new Map([['user.x', Buffer.alloc(960_000)]]);
	for (let index = 0; index < 69; index += 1) xattrs.attributes({ linkPath: NO_LINK, xattrs: large });
	expect(() => xattrs.attributes({ linkPath: NO_LINK, xattrs: large })).toThrow(invalid);
});

test('extended attributes without a value have a limit as well', () => {
	const budget = createIndexBudget();
	const empty = new Map(Array.from({ length: 20_000 }, (_, index) => [`user.${index}`, Buffer.alloc(0)]));
	for (let index = 0; index < 16; index += 1) budget.attributes({ linkPath: NO_LINK, xattrs: empty });
	expect(() => budget.attributes({ linkPath: NO_LINK, xattrs: empty })).toThrow(invalid);
});

test('what assemble makes is refused before it is a layer that no build could take', () => {
	const budget = createIndexBudget(tooLargeLayer);
	const large = new Map([['user.x', Buffer.alloc(70 * 2 ** 20)]]);
	expect(() => budget.attributes({ linkPath: NO_LINK, xattrs: large })).toThrow(
		expect.objectContaining({
			code: 'ASSEMBLE_FAILED',
			message: expect.stringContaining('more than 64 MiB of extended attributes') as string,
		}) as Error,
	);
});
