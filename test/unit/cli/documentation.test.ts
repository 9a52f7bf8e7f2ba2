import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadCompleted } from '../../../src/cli/commands.js';
import { COMMANDS, GLOBAL } from '../../support/s2i-options.js';

const grammars = await loadCompleted();

const readme = readFileSync('README.md', 'utf8');
const commands = readFileSync('docs/commands.md', 'utf8');
const compatibility = readFileSync('docs/s2i-compatibility.md', 'utf8');
/** The other commands that S2I has too take some of these. */
const options = grammars.find(({ name }) => name === 'build')?.options ?? [];

test.each(options)('docs/commands.md has --$long', ({ long, short }) => {
	expect(commands).toMatch(new RegExp(`${short === undefined ? '' : `\`-${short}\`, `}\`--${long}[ \`]`));
});

test.each(grammars)('docs/commands.md has the command $name', ({ name }) => {
	expect(commands).toContain(`\`s2oci ${name}`);
});

test.each(options)('docs/s2i-compatibility.md says whether --$long is of S2I or ours', ({ long }) => {
	expect(compatibility).toContain(`\`--${long}\``);
});

const ofS2i = [
	...new Map([...GLOBAL, ...COMMANDS.flatMap(({ options }) => options)].map((each) => [each.long, each])).values(),
];

test.each(ofS2i)('docs/s2i-compatibility.md has --$long of S2I in a row that names a test', ({ long, short }) => {
	const names = [`\`--${long}\``, ...(short === undefined ? [] : [`\`-${short}\``])];
	const rows = compatibility.split('\n').filter((line) => line.startsWith('| ') && line.includes(names[0] ?? ''));
	const own = rows.find((line) => names.every((name) => line.split(' | ')[0]?.includes(name)));
	expect(own).toMatch(/`test\/[\w/-]+\.test\.ts` \|$/);
});

test.each(COMMANDS)('docs/s2i-compatibility.md has the command $name in a row that names a test', ({ name }) => {
	expect(compatibility).toMatch(new RegExp(`^\\| \`${name}[ \`].*\`test/[\\w/-]+\\.test\\.ts\` \\|$`, 'm'));
});

test('every row of docs/s2i-compatibility.md that says what became of something names a test', () => {
	const claims = compatibility.split('\n').filter((line) => / \| (?:same|better|ours|no effect) \| /.test(line));
	expect(claims.length).toBeGreaterThan(50);
	expect(claims.filter((line) => !/`test\/[\w/-]+\.test\.ts` \|$/.test(line))).toEqual([]);
});

test('every test that docs/s2i-compatibility.md names exists', () => {
	const claimed = compatibility.replace(/\(see [^)]*\)/g, '');
	const named = [...claimed.matchAll(/test\/[\w/-]+\.test\.ts/g)].map(([path]) => path);
	expect(named.length).toBeGreaterThan(10);
	expect(named.filter((path) => !existsSync(path))).toEqual([]);
});

test('what README.md links to is there', () => {
	const links = [...readme.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path = '']) => path);
	expect(links.length).toBeGreaterThan(20);
	expect(links.filter((path) => !existsSync(path))).toEqual([]);
});

test('what a message points to is in the npm package', () => {
	const { files } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly files: readonly string[] };
	const named = readFileSync('src/cli/commands/doctor.ts', 'utf8').match(/docs\/[\w-]+\.md/g) ?? [];
	expect(named).toContain('docs/doctor.md');
	expect(named.filter((path) => !existsSync(path) || !files.includes(path))).toEqual([]);
});
