import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agreement } from '../support/agreement.js';
import { startRegistry, type TestRegistry } from '../support/registry.js';
import { ALL_RUNGS, arrange, describeRung } from '../support/rung.js';
import { builtOn, identity } from '../support/same-image.js';
import { publish, readLayout, TINY_APP, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

/** One name of builder and target for all builds, since names are in the labels. */
let registry: TestRegistry;
beforeAll(async () => {
	registry = await startRegistry();
	publish(registry, readLayout(tinyLayout()));
});
afterAll(async () => {
	await registry.close();
});

describe('the busybox builder', () => {
	const seen = agreement('the image');
	for (const rung of ALL_RUNGS) {
		test(`on ${describeRung(rung)} gives the image that it gives everywhere`, async (context) => {
			const words = [TINY_APP, `${registry.host}/builders/tiny`, `${registry.host}/team/app:1`];
			const result = await builtOn(arrange(rung, context), words);
			expect(result.rung).toMatchObject(rung.expected);
			seen.add(identity(result));
		});
	}
	seen.isTested();
});
