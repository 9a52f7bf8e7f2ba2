import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

test('the program refuses the Node.js that the package refuses', () => {
	const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
	const { engines } = JSON.parse(read('package.json')) as { readonly engines: { readonly node: string } };
	const floor = /FLOOR = \[(\d+), (\d+)\]/.exec(read('bin/s2oci.js'));
	expect(`>=${floor?.[1] ?? ''}.${floor?.[2] ?? ''}`).toBe(engines.node);
});
