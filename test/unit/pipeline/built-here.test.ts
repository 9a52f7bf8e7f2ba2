import { mkdtempSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Digest, digestOf } from '../../../src/oci/digest.js';
import { recordBuilt, wasBuiltHere } from '../../../src/pipeline/images/built-here.js';

const digest = (number: number): Digest => digestOf(Buffer.from(String(number)));

let store = '';
beforeEach(() => {
	store = mkdtempSync(join(tmpdir(), 's2oci-built-'));
});
afterEach(() => rmSync(store, { recursive: true, force: true }));

describe('the record of an image that was built here', () => {
	test('is found by the digest of its config, and by no other', async () => {
		await recordBuilt(store, digest(1));
		expect(await wasBuiltHere(store, digest(1))).toBe(true);
		expect(await wasBuiltHere(store, digest(2))).toBe(false);
	});

	test('is not believed when it is a link', async () => {
		await recordBuilt(store, digest(1));
		const [name = ''] = readdirSync(join(store, 'built'));
		symlinkSync(join(store, 'built', name), join(store, 'built', digest(2).replace(':', '-')));
		expect(await wasBuiltHere(store, digest(2))).toBe(false);
	});

	test('goes when there are too many, the oldest first', async () => {
		await recordBuilt(store, digest(0));
		for (let number = 1; number <= 2000; number += 1) {
			writeFileSync(join(store, 'built', digest(number).replace(':', '-')), '');
		}
		utimesSync(join(store, 'built', digest(7).replace(':', '-')), 1, 1);
		await recordBuilt(store, digest(9999));
		expect(readdirSync(join(store, 'built'))).toHaveLength(2000);
		expect(await wasBuiltHere(store, digest(7))).toBe(false);
		expect(await wasBuiltHere(store, digest(9999))).toBe(true);
	});

	test('is no reason to fail when it cannot be written', async () => {
		writeFileSync(join(store, 'file'), '');
		await expect(recordBuilt(join(store, 'file'), digest(1))).resolves.toBeUndefined();
	});
});
