import { chmodSync, mkdirSync, readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { command as buildCommand } from '../../../src/cli/commands/build.js';
import { readConfig, restoreWords, storeWords, writeConfig } from '../../../src/cli/config-file.js';
import { optionsOf } from '../../../src/cli/options.js';
import type { Word } from '../../../src/cli/words.js';
import { temporaryDirectory } from '../../support/fs.js';

const options = optionsOf(buildCommand);
const secret = ['secret', 'build-env', 'use-config'];
const positional = (value: string): Word => ({ type: 'positional', value });
const option = (long: string, value: string): Word => ({ type: 'option', long, value });

/** Options in the order of the grammar, as {@link restoreWords} gives them back. */
const anyWords: fc.Arbitrary<readonly Word[]> = fc
	.tuple(
		fc.array(fc.string({ minLength: 1 }), { minLength: 2, maxLength: 3 }),
		fc.tuple(
			...options.map((spec) => {
				if (spec.value === undefined) return fc.option(fc.boolean());
				return spec.repeatable ? fc.array(fc.string(), { maxLength: 12 }) : fc.option(fc.string());
			}),
		),
	)
	.map(([names, values]) => [
		...names.map(positional),
		...options.flatMap(({ long }, index): readonly Word[] => {
			const value = values[index];
			if (value === null || value === undefined) return [];
			if (typeof value === 'boolean') return [{ type: 'flag', long, on: value }];
			return [value].flat().map((text) => option(long, text));
		}),
	]);

test('what was stored is restored, but for secrets', () => {
	fc.assert(
		fc.property(anyWords, (words) => {
			const stored: unknown = JSON.parse(JSON.stringify(storeWords(words, options)));
			const kept = words.filter((word) => word.type === 'positional' || !secret.includes(word.long));
			expect(restoreWords([], stored as ReturnType<typeof storeWords>, options)).toEqual(kept);
		}),
	);
});

test('what the command line says wins', () => {
	fc.assert(
		fc.property(anyWords, anyWords, (typed, earlier) => {
			const words = restoreWords(typed, storeWords(earlier, options), options);
			expect(words.slice(0, typed.length)).toEqual(typed);
			const added = words.slice(typed.length);
			for (const word of added) {
				if (word.type === 'positional') continue;
				expect(typed.some((each) => each.type !== 'positional' && each.long === word.long)).toBe(false);
			}
			expect(words.filter(({ type }) => type === 'positional').length).toBeLessThanOrEqual(3);
		}),
	);
});

describe('a file of s2i', () => {
	const config = {
		source: 'https://example.org/app.git#main',
		builderImage: 'img',
		tag: 'app',
		flags: {
			'env-1': 'B=2',
			'env-0': 'A=1,x',
			'env-10': 'C=3',
			copy: 'true',
			volume: '[/a:/a,/b:/b]',
			inject: '/c:/c',
			'cap-drop': '[]',
			'use-config': 'true',
			secret: 'id=x',
			unknown: 'x',
			'copy-0': 'true',
		},
	};

	test('is read: env-N as flags, lists as far as they can be told apart, nothing unknown', () => {
		expect(restoreWords([], config, options)).toEqual([
			positional('https://example.org/app.git#main'),
			positional('img'),
			positional('app'),
			{ type: 'flag', long: 'copy', on: true },
			option('env', 'A=1,x'),
			option('env', 'B=2'),
			option('env', 'C=3'),
			option('inject', '/c:/c'),
			option('volume', '/a:/a'),
			option('volume', '/b:/b'),
		]);
	});

	test('gives its tag when source and builder are typed, and one -e disables its variables', () => {
		const words = restoreWords([positional('src'), positional('img2'), option('env', 'D=4')], config, options);
		expect(words.slice(0, 4)).toEqual([positional('src'), positional('img2'), option('env', 'D=4'), positional('app')]);
		expect(words.filter((word) => word.type === 'option' && word.long === 'env')).toHaveLength(1);
	});
});

describe('.s2ifile', () => {
	test('is private, and replaces a link instead of following it', async () => {
		using directory = temporaryDirectory();
		const [target, path] = [join(directory.path, 'target'), join(directory.path, '.s2ifile')];
		writeFileSync(target, 'precious');
		symlinkSync(target, path);
		const config = { source: '.', builderImage: 'img', flags: { 'env-0': 'A=1' } };
		await writeConfig(directory.path, config);
		expect(readFileSync(target, 'utf8')).toBe('precious');
		expect(() => readlinkSync(path)).toThrow('EINVAL');
		expect(statSync(path).mode & 0o777).toBe(0o600);
		const found = await readConfig(directory.path);
		expect(found).toEqual({ config, notices: ['.s2ifile is used for --env where the command line says nothing'] });
	});

	test('is looked for before .stifile, which is deprecated', async () => {
		using directory = temporaryDirectory();
		writeFileSync(join(directory.path, '.stifile'), JSON.stringify({ source: 'old', builderImage: 'img', flags: {} }));
		const old = await readConfig(directory.path);
		expect(old.config?.source).toBe('old');
		expect(old.notices[0]).toBe('.stifile is deprecated: rename it to .s2ifile.');
		writeFileSync(join(directory.path, '.s2ifile'), JSON.stringify({ source: 'new', builderImage: 'img', flags: {} }));
		expect((await readConfig(directory.path)).config?.source).toBe('new');
	});

	test.each([
		['no JSON', 'nonsense'],
		['another shape', '{"flags": {"env-0": 1}}'],
		['an array', '[]'],
		['too large', JSON.stringify({ source: 'x'.repeat(70_000), builderImage: '', flags: {} })],
	])('is ignored with a notice when it is %s', async (_what, text) => {
		using directory = temporaryDirectory();
		writeFileSync(join(directory.path, '.s2ifile'), text);
		const { config, notices } = await readConfig(directory.path);
		expect(config).toBeUndefined();
		expect(notices).toEqual([expect.stringMatching(/^\.s2ifile is ignored: /)]);
	});

	test('is ignored when it is a link or a directory, and may be absent', async () => {
		using directory = temporaryDirectory();
		expect((await readConfig(directory.path)).notices).toEqual(['there is no .s2ifile yet; it is written now']);
		symlinkSync('/etc/passwd', join(directory.path, '.s2ifile'));
		expect((await readConfig(directory.path)).notices).toEqual(['.s2ifile is ignored: ELOOP']);
		using other = temporaryDirectory();
		mkdirSync(join(other.path, '.s2ifile'));
		expect((await readConfig(other.path)).config).toBeUndefined();
	});

	test('that cannot be written is OUTPUT_FAILED', async () => {
		using directory = temporaryDirectory();
		chmodSync(directory.path, 0o755);
		const config = { source: '.', builderImage: 'img', flags: {} };
		await expect(writeConfig(join(directory.path, 'missing'), config)).rejects.toMatchObject({ code: 'OUTPUT_FAILED' });
	});
});
