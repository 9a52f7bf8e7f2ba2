import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { loadCompleted } from '../../../src/cli/commands.js';
import { lacking, temporaryDirectory } from '../../support/fs.js';
import { skipFor } from '../../support/needs.js';
import { runMain } from './io.js';

const grammars = await loadCompleted();

async function script(shell: string): Promise<string> {
	const { status, stdout, stderr } = await runMain(['completion', shell]);
	expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
	return stdout;
}

/** What bash offers for the last of `words`. */
async function complete(...words: readonly string[]): Promise<readonly string[]> {
	const ask = `source <(cat)\nCOMP_WORDS=("$@")\nCOMP_CWORD=$(($# - 1))\n_s2oci\nprintf '%s\\n' "\${COMPREPLY[@]}"\n`;
	const output = execFileSync('bash', ['-c', ask, 'bash', ...words], { input: await script('bash'), encoding: 'utf8' });
	return output.split('\n').filter((line) => line !== '');
}

describe('in bash', () => {
	beforeEach((context) => skipFor(context, lacking('bash')));

	test('all commands are offered first', async () => {
		expect(await complete('s2oci', '')).toEqual(grammars.map(({ name }) => name));
		expect(await complete('s2oci', 're')).toEqual(['rebuild']);
	});

	test.each(grammars.filter(({ options }) => options.length > 0))(
		'all options of $name are offered',
		async (grammar) => {
			const expected = [...grammar.options.map(({ long }) => `--${long}`), '--help'];
			expect(await complete('s2oci', grammar.name, '--')).toEqual(expected);
		},
	);

	test.each([
		[
			['build', '--network', ''],
			['host', 'none'],
		],
		[['build', '.', 'img', '--isolation', 'r'], ['runc']],
		[['build', '--isolation', '=', 'b'], ['bwrap']],
		[
			['build', '--log-format', '='],
			['auto', 'tty', 'plain', 'json'],
		],
		[['build', '-p', 'a'], ['always']],
		[['rebuild', '-p', 'n'], ['never']],
		[['build', '-e', ''], []],
		[['completion', 'f'], ['fish']],
		[['help', 'b'], ['build']],
		[['version', ''], []],
	])('%j offers %j', async (words, expected) => {
		expect(await complete('s2oci', ...words)).toEqual(expected);
	});

	test('files are offered for the source and for options that name one, directories for others', async () => {
		expect(await complete('s2oci', 'build', 'packa')).toEqual(['package.json', 'package-lock.json'].sort());
		expect(await complete('s2oci', 'build', '-E', 'packa')).toContain('package.json');
		expect(await complete('s2oci', 'run', '--store', 'sr')).toEqual(['src']);
		expect(await complete('s2oci', 'run', '--store', 'packa')).toEqual([]);
	});
});

describe.each(['zsh', 'fish'])('in %s', (shell) => {
	test('the script parses', async (context) => {
		const reason = lacking(shell);
		skipFor(context, reason);
		using directory = temporaryDirectory();
		const path = join(directory.path, 'script');
		writeFileSync(path, await script(shell));
		expect(execFileSync(shell, ['-n', path], { encoding: 'utf8' })).toBe('');
	});

	test('the script names every command and option', async () => {
		const text = await script(shell);
		for (const { name, options } of grammars) {
			expect(text).toContain(name);
			for (const { long } of options) expect(text).toMatch(new RegExp(`(?:--|-l )${long}\\b`));
		}
	});
});

test('another shell is a usage error', async () => {
	const { status, stdout, stderr } = await runMain(['completion', 'fihs']);
	expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
	expect(stderr).toContain('Did you mean fish?');
});
