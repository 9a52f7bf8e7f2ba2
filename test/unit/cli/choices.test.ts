import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CI_CHOICES } from '../../../src/cli/ci-engine.js';
import { loadCompleted } from '../../../src/cli/commands.js';
import { CALLBACK_FORMATS, LOG_FORMATS, LOG_LEVELS, NETWORKS } from '../../../src/cli/values.js';
import { ISOLATIONS, PULL_POLICIES, REUSE, ROOT_FILESYSTEMS, USER_NAMESPACES } from '../../../src/pipeline/choices.js';
import { runMain } from './io.js';

const grammars = await loadCompleted();

const CHOICES: Readonly<Record<string, readonly string[]>> = {
	isolation: ISOLATIONS,
	userns: USER_NAMESPACES,
	rootfs: ROOT_FILESYSTEMS,
	'pull-policy': PULL_POLICIES,
	'runtime-pull-policy': PULL_POLICIES,
	'log-format': LOG_FORMATS,
	loglevel: LOG_LEVELS,
	'callback-format': CALLBACK_FORMATS,
	network: NETWORKS,
	reuse: REUSE,
	'ci-output': CI_CHOICES,
};
/** Help says of these that they are like another option. */
const LIKE_OTHERS = ['runtime-pull-policy', 'incremental-pull-policy'];
const ROOT = join(import.meta.dirname, '../../..');
const documents = ['docs/commands.md', 'docs/rungs.md']
	.map((name) => readFileSync(join(ROOT, name), 'utf8'))
	.join('\n');
const grammar = grammars.find(({ name }) => name === 'build');

/** What `s2oci build` says of `--long word`; the source does not exist, which is found out when all options are read. */
async function answerTo(long: string, word: string): Promise<string> {
	const { stderr } = await runMain(['build', '/nonexistent-source', 'builder', `--${long}`, word]);
	return stderr;
}

describe.each(Object.entries(CHOICES))('--%s', (long, words) => {
	test.each(words)('takes %s', async (word) => {
		expect(await answerTo(long, word)).not.toContain(`--${long} does not take`);
	});

	test('takes no other word', async () => {
		expect(await answerTo(long, 'otherwise')).toContain(`--${long} does not take "otherwise"`);
	});

	test('is explained by help with each of its words', async () => {
		const { stdout } = await runMain(['build', '--help']);
		const [, explained = ''] = new RegExp(`--${long}[ =](.*?)\\n\\s*(?:-\\w, )?--`, 's').exec(stdout) ?? [];
		if (!LIKE_OTHERS.includes(long)) for (const word of words) expect(explained).toMatch(new RegExp(`\\b${word}\\b`));
		else expect(explained).toContain('--pull-policy');
	});

	test('is completed to each of its words, and to no other, by every shell', async () => {
		expect(grammar?.options.find((option) => option.long === long)?.offer).toEqual(words);
		for (const shell of ['bash', 'zsh', 'fish']) {
			const { stdout } = await runMain(['completion', shell]);
			expect(stdout, shell).toContain(words.join(' '));
		}
	});
});

test('every option that offers words is among these', () => {
	const offering = (grammar?.options ?? []).filter(({ offer }) => typeof offer === 'object').map(({ long }) => long);
	const known = [...Object.keys(CHOICES), ...LIKE_OTHERS];
	expect(offering.filter((long) => !known.includes(long))).toEqual([]);
});

test.each([
	...['isolation', 'userns', 'rootfs'].flatMap((long) => (CHOICES[long] ?? []).map((word) => [long, word] as const)),
])('docs/commands.md and docs/rungs.md explain --%s %s', (_long, word) => {
	expect(documents).toContain(`\`${word}\``);
});

test.each(
	grammars.flatMap(({ name, options }) =>
		options
			.filter(({ value }) => value === 'TIME' || value === 'BYTES')
			.map(({ long, description }) => ({ name, long, description })),
	),
)('the help of $name says what a number without a unit is for --$long', ({ description }) => {
	expect(description).toMatch(/a bare number is (?:seconds|bytes|refused)|in seconds since 1970/);
});

test('the help of every command with a store says on what its default depends', async () => {
	for (const command of ['build', 'rebuild', 'run', 'usage', 'generate', 'doctor', 'store', 'prune']) {
		const help = (await runMain([command, '--help'])).stdout.replace(/\s+/g, ' ');
		for (const word of ['$S2OCI_STORE', '$XDG_CACHE_HOME/s2oci', '--rootfs in-place', '--isolation none', '/tmp']) {
			expect(help).toContain(word);
		}
	}
});
