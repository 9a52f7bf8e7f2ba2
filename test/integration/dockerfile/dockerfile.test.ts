import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeSource } from '../../support/tiny.js';
import { emptyDirectory, plainSource, sclorgImage, write } from './request.js';

const COPY_SCRIPTS = 'COPY --chown=1001:0 ["upload/scripts", "/tmp/scripts"]';

describe('where a Dockerfile goes', () => {
	test('is a file, made with its directories', async () => {
		const output = join(emptyDirectory(), 'new/dir/Containerfile');
		const { context, text } = await write({ builder: await sclorgImage(), source: plainSource(), output });
		expect(text).toContain('FROM ');
		expect(context).toBe(dirname(output));
		expect(readFileSync(join(context, 'upload/src/greeting.txt'), 'utf8')).toBe('hello\n');
	});

	test('is Dockerfile in a directory', async () => {
		const directory = emptyDirectory();
		const builder = await sclorgImage();
		const first = await write({ builder, source: plainSource(), output: `${directory}/` });
		const second = await write({ builder, source: plainSource(), output: `${directory}/new/` });
		expect([first.context, second.context]).toEqual([directory, join(directory, 'new')]);
	});

	test('has nothing left of an earlier source, and equal input gives equal text', async () => {
		const builder = await sclorgImage();
		const output = `${emptyDirectory()}/`;
		const environment = [{ name: 'B', value: '2' }];
		const wanted = { builder, output, environment, tag: 'reg.example/app:1' };
		const first = await write({ ...wanted, source: plainSource({ 'old.txt': 'x', '.s2i/bin/run': '#!/bin/sh\n' }) });
		const source = plainSource();
		const second = await write({ ...wanted, source });
		expect(first.lines).toContain(COPY_SCRIPTS);
		expect(second.lines).not.toContain(COPY_SCRIPTS);
		expect(readdirSync(join(second.context, 'upload/src'))).toEqual(['greeting.txt']);
		expect(readdirSync(join(second.context, 'upload'))).not.toContain('scripts');
		expect((await write({ ...wanted, source })).text).toBe(second.text);
	});

	test('is refused beside an upload directory of somebody else, which stays as it is', async () => {
		const output = emptyDirectory();
		mkdirSync(join(output, 'upload/src'), { recursive: true });
		writeFileSync(join(output, 'upload/src/mine'), 'precious');
		await expect(
			write({ builder: await sclorgImage(), source: plainSource(), output: `${output}/` }),
		).rejects.toMatchObject({ code: 'OUTPUT_FAILED', message: expect.stringContaining('not made by s2oci') as string });
		expect(readFileSync(join(output, 'upload/src/mine'), 'utf8')).toBe('precious');
	});

	test('that fails leaves nothing half made, and what others put beside it', async () => {
		const builder = await sclorgImage();
		const output = emptyDirectory();
		const broken = join(emptyDirectory(), 'source.tar');
		writeFileSync(broken, 'no archive');
		const fail = () => write({ builder, source: `file://${broken}`, output: `${output}/` });
		await expect(fail()).rejects.toMatchObject({ code: 'SOURCE_INVALID' });
		expect(readdirSync(output)).toEqual([]);
		await write({ builder, source: plainSource(), output: `${output}/` });
		writeFileSync(join(output, 'upload/mine'), 'precious');
		await expect(fail()).rejects.toMatchObject({ code: 'SOURCE_INVALID' });
		expect(readFileSync(join(output, 'upload/mine'), 'utf8')).toBe('precious');
		expect(readdirSync(join(output, 'upload')).sort()).toEqual(['.made-by-s2oci', 'mine']);
	});

	test('is refused inside a source that is copied, also through a link', async () => {
		const source = plainSource();
		const link = join(emptyDirectory(), 'link');
		symlinkSync(source, link);
		const builder = await sclorgImage();
		for (const output of [`${source}/deploy/`, `${link}/deploy/`]) {
			await expect(write({ builder, source, output })).rejects.toMatchObject({ code: 'USAGE' });
		}
		expect(readdirSync(source)).toEqual(['greeting.txt']);
	});

	test('may be inside a git repository, which is cloned', async () => {
		const source = plainSource();
		const git = (...args: readonly string[]) => execFileSync('git', ['-C', source, ...args], { stdio: 'pipe' });
		git('init', '-q', '-b', 'main');
		git('add', '.');
		git('-c', 'user.name=Ada', '-c', 'user.email=ada@example.org', 'commit', '-qm', 'First "one"');
		const { lines } = await write({ builder: await sclorgImage(), source, output: `${source}/deploy/` });
		expect(lines[1]).toContain('"io.openshift.s2i.build.commit.author"="Ada <ada@example.org>"');
		expect(lines[1]).toContain('"io.openshift.s2i.build.commit.message"="First \\"one\\""');
		expect(lines[1]).toContain(`"io.openshift.s2i.build.source-location"="${source}"`);
		expect(readdirSync(join(source, 'deploy/upload/src'))).toEqual(['greeting.txt']);
	});
});

describe('what the builder image says', () => {
	test('is read: scripts, destination, users', async () => {
		const builder = await sclorgImage({
			Labels: {
				'io.openshift.s2i.scripts-url': 'image:///opt/s2i/bin/',
				'io.openshift.s2i.destination': '/opt/build',
				'io.openshift.s2i.assemble-user': '0',
			},
		});
		const { lines, warnings } = await write({ builder, source: plainSource() });
		expect(lines.slice(2)).toEqual([
			'COPY --chown=0:0 ["upload/src", "/opt/build/src"]',
			'USER 0',
			'RUN ["/opt/s2i/bin/assemble"]',
			'USER 1001',
			'CMD ["/opt/s2i/bin/run"]',
		]);
		expect(lines[0]).toBe(`FROM ${builder}`);
		expect(warnings).toEqual([]);
	});

	test('loses to the command line', async () => {
		const builder = await sclorgImage({ Labels: { 'io.openshift.s2i.destination': '/opt/build' } });
		const { lines } = await write({ builder, source: plainSource(), destination: '/var/x', assembleUser: '7' });
		expect(lines).toEqual(
			expect.arrayContaining(['COPY --chown=7:0 ["upload/src", "/var/x/src"]', 'USER 7', 'USER 1001']),
		);
		expect(lines[1]).toContain('"io.openshift.s2i.destination"="/var/x"');
	});

	test.each([
		['USER', { User: '0' }],
		['label', { Labels: { 'io.openshift.s2i.assemble-user': '0' } }],
		['ONBUILD', { OnBuild: ['USER root'] }],
	])('is held against --allowed-uids: %s', async (_name, config) => {
		const builder = await sclorgImage(config);
		const output = join(emptyDirectory(), 'x/');
		const allowedUids = [{ first: 1, last: undefined }];
		await expect(write({ builder, source: plainSource(), allowedUids, output })).rejects.toMatchObject({
			code: 'IMAGE_USER_NOT_ALLOWED',
		});
		expect(existsSync(output)).toBe(false);
	});

	test('is supposed, with a warning, when its registry cannot be reached or must not be asked', async () => {
		const expected = [
			expect.stringMatching(/^FROM /),
			expect.stringMatching(/^LABEL /),
			'COPY --chown=1001:0 ["upload/src", "/tmp/src"]',
			'RUN ["/usr/libexec/s2i/assemble"]',
			'CMD ["/usr/libexec/s2i/run"]',
		];
		const never = await write({ builder: 'registry.invalid/x', source: plainSource(), pullPolicy: 'never' });
		expect(never.lines).toEqual(expected);
		expect(never.warnings).toEqual([expect.stringContaining('--pull-policy never')]);
		const refused = await write({ builder: '127.0.0.1:1/x', source: plainSource() });
		expect(refused.lines).toEqual(expected);
		expect(refused.warnings).toEqual([expect.stringContaining('cannot be looked up')]);
	});

	test('a builder that does not exist is an error', async () => {
		const builder = (await sclorgImage()).replace('tiny', 'typo');
		await expect(write({ builder, source: plainSource() })).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' });
	});
});

describe('labels and environment', () => {
	test('are those of the build, with -s and -d; --label wins', async () => {
		const { lines } = await write({
			builder: await sclorgImage(),
			source: plainSource(),
			tag: 'reg.example/team/app:1',
			description: 'two\nlines',
			scriptsUrl: 'image:///opt/s2i',
			destination: '/opt/build',
			labels: [
				{ name: 'io.k8s.display-name', value: 'mine' },
				{ name: 'org.example/a', value: '$x' },
			],
		});
		expect(lines[1]).toMatch(/^LABEL "io.k8s.description"="two lines" "io.k8s.display-name"="mine" /);
		expect(lines[1]).toContain('"io.openshift.s2i.build.image"="127.0.0.1:');
		expect(lines[1]).toMatch(
			/"io.openshift.s2i.scripts-url"="image:\/\/\/opt\/s2i" "io.openshift.s2i.destination"="\/opt\/build" "org.example\/a"="\\\$x"$/,
		);
	});

	test('of the source, -e and -E are one ENV in which the last wins; --build-env is not in it', async () => {
		const environmentFile = join(makeSource({ 'env.txt': '// no\n A = file\n' }), 'env.txt');
		const { lines, text, context } = await write({
			builder: await sclorgImage(),
			source: plainSource({ '.s2i/environment': '# no\nA=source\nB=source\nC="quoted"\n' }),
			environment: [
				{ name: 'A', value: 'option' },
				{ name: 'B', value: 'option' },
			],
			environmentFile,
			buildEnvironment: [{ name: 'TOKEN', value: "hunter2's" }],
		});
		expect(lines[2]).toBe('ENV "A"="file" "B"="option" "C"="\\"quoted\\""');
		expect(text).not.toContain('hunter2');
		expect(readFileSync(join(context, 'upload/build-environment'), 'utf8')).toBe("export TOKEN='hunter2'\\''s'\n");
	});

	test('an unreadable -E is an error', async () => {
		const wanted = { builder: await sclorgImage(), source: plainSource(), environmentFile: '/nonexistent/env' };
		await expect(write(wanted)).rejects.toMatchObject({ code: 'USAGE' });
	});
});

test('.s2iignore is followed', async () => {
	const { context } = await write({
		builder: await sclorgImage(),
		source: plainSource({
			'.s2iignore': 'dummy\n#greeting.txt\nfoo/bar/another_file\nfoo/baz/foobar\n',
			dummy: '',
			'foo/bar/another_file': '',
			'foo/bar/a_file': '',
			'foo/baz/foobar': '',
		}),
	});
	const at = (path: string) => existsSync(join(context, 'upload/src', path));
	expect(['greeting.txt', 'foo/bar/a_file', 'foo/baz'].map(at)).toEqual([true, true, true]);
	expect(['dummy', 'foo/bar/another_file', 'foo/baz/foobar'].map(at)).toEqual([false, false, false]);
});

test('what is ignored or excluded is not in the context, but scripts of the source are found first', async () => {
	const { context, lines } = await write({
		builder: await sclorgImage(),
		source: plainSource({
			'.s2iignore': '.s2i\n',
			'.s2i/bin/run': '#!/bin/sh\n',
			'.s2i/bin/usage': '#!/bin/sh\n',
			'.s2i/environment': 'A=1\n',
			'vendor/x': '',
		}),
		exclude: '^vendor(/|$)',
	});
	expect(lines).toContain('CMD ["/tmp/scripts/run"]');
	expect(lines.some((line) => line.startsWith('ENV'))).toBe(false);
	expect(readdirSync(join(context, 'upload/src')).sort()).toEqual(['.s2iignore', 'greeting.txt']);
});

test('what a Dockerfile cannot say is told', async () => {
	const { warnings } = await write({
		builder: await sclorgImage(),
		source: plainSource(),
		volumes: [{ source: '/x', destination: '/y', readOnly: true }],
		assembleTimeout: 1000,
	});
	expect(warnings).toEqual([expect.stringContaining('--volume, --timeout')]);
});

describe('s2oci generate', () => {
	test('writes the Dockerfile of a builder, and leaves the source beside it alone', async () => {
		const directory = emptyDirectory();
		mkdirSync(join(directory, 'upload/src'), { recursive: true });
		writeFileSync(join(directory, 'upload/src/app.js'), 'x');
		const builder = await sclorgImage({ Labels: { 'io.openshift.s2i.destination': '/opt/build' } });
		const environment = [{ name: 'A', value: '1' }];
		const { lines } = await write({ builder, output: join(directory, 'Dockerfile.gen'), environment });
		expect(lines).toEqual([
			`FROM ${builder}`,
			`LABEL "io.openshift.s2i.build.image"="${builder}"`,
			'ENV "A"="1"',
			'COPY --chown=1001:0 ["upload/src", "/opt/build/src"]',
			'RUN ["/usr/libexec/s2i/assemble"]',
			'CMD ["/usr/libexec/s2i/run"]',
		]);
		expect(readdirSync(join(directory, 'upload/src'))).toEqual(['app.js']);
	});

	test('makes the directory for the source', async () => {
		const { context } = await write({ builder: await sclorgImage() });
		expect(readdirSync(join(context, 'upload/src'))).toEqual([]);
	});
});
