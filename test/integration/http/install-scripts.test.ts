import { lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Case, host, inImage, install, LABEL, makeSource, script, serve, served, warnings } from './install.js';

describe('precedence', () => {
	const NAMES = ['assemble', 'run', 'save-artifacts', 'usage', 'assemble-runtime'] as const;
	const LEVELS = ['given', '.s2i', '.sti', 'image'] as const;

	test('each script comes from the first place that has it, whatever the others do', async () => {
		const presence = fc.record(
			Object.fromEntries(NAMES.map((name) => [name, fc.subarray([...LEVELS])])) as Record<
				(typeof NAMES)[number],
				fc.Arbitrary<(typeof LEVELS)[number][]>
			>,
		);
		await fc.assert(
			fc.asyncProperty(presence, fc.constantFrom('http', 'file', 'image'), async (present, kind) => {
				served.clear();
				const names = (level: (typeof LEVELS)[number]) => NAMES.filter((name) => present[name].includes(level));
				fc.pre(names('given').length > 0);
				for (const name of names('given')) serve(`/given/${name}`, script('given'));
				const files = makeSource(Object.fromEntries(names('given').map((name) => [name, script('given')])));
				const url = { http: `http://${host}/given`, file: `file://${files}`, image: 'image:///given' }[kind];
				const paths = [
					...names('image').map((name) => `/s2i/${name}`),
					...(kind === 'image' ? names('given').map((name) => `/given/${name}`) : []),
				];
				const done = await install({
					required: [],
					optional: NAMES,
					scriptsUrl: url,
					labels: { [LABEL]: 'image:///s2i' },
					image: Object.fromEntries(paths.map((path) => [path, 0o755])),
					source: Object.fromEntries(
						['.s2i', '.sti'].flatMap((level) =>
							names(level as '.s2i').map((name) => [`${level}/bin/${name}`, script(level)]),
						),
					),
				});
				for (const name of NAMES) {
					const level = LEVELS.find((each) => present[name].includes(each));
					const external = level !== undefined && level !== 'image' && !(level === 'given' && kind === 'image');
					const path = { given: '/given', image: '/s2i', '.s2i': '', '.sti': '' }[level ?? 'image'];
					expect(done.scripts.get(name)?.path).toBe(
						level === undefined ? undefined : `${external ? '/tmp/scripts' : path}/${name}`,
					);
					if (external) expect(done.text(name)).toBe(script(level));
				}
			}),
			{ numRuns: 60 },
		);
	});

	test('of images is label, old label, STI_SCRIPTS_URL', async () => {
		const image = { '/new/run': 0o755, '/old/run': 0o755, '/env/run': 0o755 };
		const labels = { [LABEL]: 'image:///new', 'io.s2i.scripts-url': 'image:///old' };
		const env = ['STI_SCRIPTS_URL=image:///env'];
		const path = async (given: Case) =>
			(await install({ required: ['run'], image, ...given })).scripts.get('run')?.path;
		expect(await path({ labels, env })).toBe('/new/run');
		expect(await path({ labels: { 'io.s2i.scripts-url': 'image:///old' }, env })).toBe('/old/run');
		expect(await path({ env })).toBe('/env/run');
	});

	test.each<[string, Case, Readonly<Record<string, string>>]>([
		[
			'of the image',
			{ labels: { [LABEL]: 'image:///s2i' }, image: inImage },
			{ assemble: '/s2i/assemble', run: '/s2i/run' },
		],
		[
			'of a label with a trailing slash',
			{
				labels: { [LABEL]: 'image:///tmp/scripts/' },
				image: { '/tmp/scripts/assemble': 0o755, '/tmp/scripts/run': 0o755 },
			},
			{ assemble: '/tmp/scripts/assemble', run: '/tmp/scripts/run' },
		],
		[
			'of --scripts-url in the image',
			{ scriptsUrl: 'image:///s2i/', labels: { [LABEL]: 'image:///other' }, image: inImage },
			{ assemble: '/s2i/assemble', run: '/s2i/run' },
		],
		[
			'of the source',
			{ source: { '.s2i/bin/assemble': script('a'), '.s2i/bin/run': script('r') } },
			{ assemble: '/tmp/scripts/assemble', run: '/tmp/scripts/run' },
		],
		[
			'of the source, with another destination',
			{
				source: { '.s2i/bin/assemble': script('a') },
				labels: { [LABEL]: 'image:///s2i', 'io.openshift.s2i.destination': '/opt/dest/' },
				image: inImage,
			},
			{ assemble: '/opt/dest/scripts/assemble', run: '/s2i/run' },
		],
		[
			'of the source, with the destination of an old image',
			{
				source: { '.sti/bin/run': script('r') },
				env: ['STI_SCRIPTS_URL=image:///s2i', 'STI_LOCATION=/home'],
				image: inImage,
			},
			{ assemble: '/s2i/assemble', run: '/home/scripts/run' },
		],
	])('the path is that %s', async (_name, given, paths) => {
		const { scripts } = await install(given);
		expect(Object.fromEntries([...scripts].map(([name, { path }]) => [name, path]))).toEqual(paths);
	});
});

describe("the image's scripts URL", () => {
	test('may be on the web', async () => {
		serve('/label/assemble');
		serve('/label/run');
		const done = await install({ labels: { [LABEL]: `http://${host}/label` }, source: {} });
		expect(done.text('run')).toBe(script('url'));
	});

	test('must not name files of this machine, which matters only when a script is needed from it', async () => {
		const labels = { [LABEL]: 'file:///etc' };
		await expect(install({ labels })).rejects.toMatchObject({ code: 'IMAGE_INVALID' });
		const source = { '.s2i/bin/assemble': script('a'), '.s2i/bin/run': script('r') };
		const { scripts } = await install({ labels, source, optional: ['save-artifacts'] });
		expect([...scripts.keys()]).toEqual(['assemble', 'run']);
	});

	test('is verified: what is missing is named with all the places', async () => {
		const labels = { [LABEL]: 'image:///s2i' };
		await expect(
			install({ labels, image: { '/s2i/assemble': 0o755 }, source: {}, scriptsUrl: undefined }),
		).rejects.toMatchObject({
			code: 'SCRIPT_MISSING',
			message:
				'there is no run script: looked at .s2i/bin/run in the source, .sti/bin/run in the source, /s2i/run in the image',
		});
		await expect(install({ labels, image: { ...inImage, '/s2i/run': 0o644 } })).rejects.toMatchObject({
			code: 'SCRIPT_MISSING',
			message: '/s2i/run in the image is not executable',
		});
	});

	test('has save-artifacts only when it is really there and executable', async () => {
		const labels = { [LABEL]: 'image:///s2i' };
		const given = { labels, optional: ['save-artifacts'] as const };
		const has = async (image: Readonly<Record<string, number>>) =>
			(await install({ ...given, image })).scripts.has('save-artifacts');
		expect(await has(inImage)).toBe(false);
		expect(await has({ ...inImage, '/s2i/save-artifacts': 0o755 })).toBe(true);
		const done = await install({ ...given, image: { ...inImage, '/s2i/save-artifacts': 0o644 } });
		expect(done.scripts.has('save-artifacts')).toBe(false);
		expect(warnings(done)).toEqual(['/s2i/save-artifacts in the image is not executable, so it is not used']);
		expect(done.placed).toBe(false);
	});
});

describe('scripts of the source', () => {
	test('are moved, with mode 0755 and their time; other files stay', async () => {
		const source = { '.s2i/bin/run': script('r'), '.s2i/bin/helper': 'x', '.s2i/environment': 'A=1' };
		const done = await install({
			required: ['run'],
			source,
			arrange: (path) => utimesSync(join(path, '.s2i/bin/run'), 1_750_000_000, 1_750_000_000),
		});
		const stats = statSync(join(done.directory, 'run'));
		expect([stats.mode & 0o7777, stats.mtimeMs]).toEqual([0o755, 1_750_000_000_000]);
		expect(() => lstatSync(join(done.source, '.s2i/bin/run'))).toThrow('ENOENT');
		expect(readFileSync(join(done.source, '.s2i/bin/helper'), 'utf8')).toBe('x');
	});

	test('in .sti/bin are used, with one deprecation', async () => {
		const done = await install({ source: { '.sti/bin/assemble': script('a'), '.sti/bin/run': script('r') } });
		expect(warnings(done)).toEqual(['scripts in .sti/bin are deprecated; move them to .s2i/bin']);
	});

	test('may be links to each other, and not to files outside', async () => {
		const link = (to: string) => (path: string) => symlinkSync(to, join(path, '.s2i/bin/run'));
		const source = { '.s2i/bin/assemble': script('both') };
		const done = await install({ source, arrange: link('assemble') });
		expect([done.text('assemble'), done.text('run')]).toEqual([script('both'), script('both')]);
		for (const to of ['/etc/passwd', '../../../outside', 'nowhere']) {
			await expect(install({ source, arrange: link(to) })).rejects.toMatchObject({
				code: 'SCRIPT_INVALID',
				message: '.s2i/bin/run in the source is a link that leads nowhere in the source',
			});
		}
	});

	test('are not found below a link that leads out of it', async () => {
		const outside = makeSource({ 'bin/assemble': script('outside') });
		const arrange = (path: string) => symlinkSync(outside, join(path, '.s2i'));
		await expect(install({ required: ['assemble'], arrange })).rejects.toMatchObject({ code: 'SCRIPT_INVALID' });
		expect(lstatSync(join(outside, 'bin/assemble')).isFile()).toBe(true);
	});

	test('with Windows line ends are an error that names the remedies, and nothing is taken away', async () => {
		let kept = '';
		const failed = install({
			source: { '.s2i/bin/assemble': script('a'), '.s2i/bin/run': '#!/bin/bash\r\necho\r\n' },
			arrange: (path) => {
				kept = path;
			},
		});
		await expect(failed).rejects.toMatchObject({
			code: 'SCRIPT_INVALID',
			message: expect.stringContaining('.s2i/bin/run in the source has Windows line ends') as string,
			hint: expect.stringMatching(/dos2unix.*\.gitattributes/) as string,
		});
		expect(lstatSync(join(kept, '.s2i/bin/assemble')).isFile()).toBe(true);
	});

	test('must be files', async () => {
		const arrange = (path: string) => mkdirSync(join(path, '.s2i/bin/assemble'), { recursive: true });
		await expect(install({ required: ['assemble'], arrange })).rejects.toMatchObject({ code: 'SCRIPT_INVALID' });
	});
});
