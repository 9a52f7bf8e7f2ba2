import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { grammars } from '../../../src/cli/grammars.js';

const readme = readFileSync('README.md', 'utf8');
const compatibility = readFileSync('docs/s2i-compatibility.md', 'utf8');
/** The other commands that S2I has too take some of these. */
const options = grammars.find(({ name }) => name === 'build')?.options ?? [];

test.each(options)('README.md has --$long', ({ long, short }) => {
	expect(readme).toMatch(new RegExp(`${short === undefined ? '' : `\`-${short}\`, `}\`--${long}[ \`]`));
});

test.each(grammars)('README.md has the command $name', ({ name }) => {
	expect(readme).toContain(`\`s2oci ${name}`);
});

test.each(options)('docs/s2i-compatibility.md says whether --$long is of S2I or ours', ({ long }) => {
	expect(compatibility).toContain(`\`--${long}\``);
});

test.each(['-U', '--url', '--cert', '--key', '--ca', '--tls', '--tlsverify', '--scripts', '--location', '-l'])(
	'docs/s2i-compatibility.md has %s of S2I, which is no option of ours',
	(option) => {
		expect(compatibility).toContain(`\`${option}\``);
	},
);

test('every test that docs/s2i-compatibility.md names exists', () => {
	const claimed = compatibility.replace(/\(see [^)]*\)/g, '');
	const named = [...claimed.matchAll(/test\/[\w/-]+\.test\.ts/g)].map(([path]) => path);
	expect(named.length).toBeGreaterThan(10);
	expect(named.filter((path) => !existsSync(path))).toEqual([]);
});
