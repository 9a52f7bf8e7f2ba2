import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeSource } from '../../support/tiny.js';
import { imageWith, plainSource, sclorgImage, write } from './request.js';

const COPY_SCRIPTS = 'COPY --chown=1001:0 ["upload/scripts", "/tmp/scripts"]';

/** A directory of scripts as a `file://` URL. */
function scriptsAt(...names: readonly string[]): string {
	return `file://${makeSource(Object.fromEntries(names.map((name) => [name, `#!/bin/sh\n# ${name}\n`])))}`;
}

function scriptsIn(context: string): readonly string[] {
	const path = join(context, 'upload/scripts');
	return existsSync(path) ? readdirSync(path).sort() : [];
}

describe('scripts', () => {
	test.each([
		['assemble', '/tmp/scripts/assemble', '/usr/libexec/s2i/run'],
		['run', '/usr/libexec/s2i/assemble', '/tmp/scripts/run'],
	])('with only %s at the scripts URL, the other is the image’s', async (name, assemble, run) => {
		const wanted = { builder: await sclorgImage(), source: plainSource(), scriptsUrl: scriptsAt(name) };
		const { lines, context } = await write(wanted);
		expect(lines).toEqual(expect.arrayContaining([COPY_SCRIPTS, `RUN ["${assemble}"]`, `CMD ["${run}"]`]));
		expect(scriptsIn(context)).toEqual([name]);
	});

	test('a scripts URL without any is an error', async () => {
		const wanted = { builder: await sclorgImage(), source: plainSource(), scriptsUrl: scriptsAt('other') };
		await expect(write(wanted)).rejects.toMatchObject({ code: 'SCRIPT_MISSING' });
	});

	test('of the source are moved to where they override the image’s', async () => {
		const source = plainSource({ '.s2i/bin/assemble': '#!/bin/sh\n', '.s2i/bin/notes.txt': 'x' });
		const { lines, context } = await write({ builder: await sclorgImage(), source });
		expect(lines).toEqual(
			expect.arrayContaining([COPY_SCRIPTS, 'RUN ["/tmp/scripts/assemble"]', 'CMD ["/usr/libexec/s2i/run"]']),
		);
		expect(scriptsIn(context)).toEqual(['assemble']);
		expect(readdirSync(join(context, 'upload/src/.s2i/bin'))).toEqual(['notes.txt']);
	});

	test('an image:// scripts URL beats those of the source', async () => {
		const source = plainSource({ '.s2i/bin/assemble': '#!/bin/sh\n', '.s2i/bin/run': '#!/bin/sh\n' });
		const { lines } = await write({ builder: await sclorgImage(), source, scriptsUrl: 'image:///opt/other' });
		expect(lines).toEqual(expect.arrayContaining(['RUN ["/opt/other/assemble"]', 'CMD ["/opt/other/run"]']));
		expect(lines).not.toContain(COPY_SCRIPTS);
	});

	test('of a builder without a label are where --image-scripts-url says, else where S2I has them', async () => {
		const builder = await imageWith({ User: '1001' });
		const source = plainSource();
		const said = await write({ builder, source, imageScriptsUrl: 'image:///opt/s2i' });
		expect(said.lines).toEqual(expect.arrayContaining(['RUN ["/opt/s2i/assemble"]', 'CMD ["/opt/s2i/run"]']));
		const supposed = await write({ builder, source });
		expect(supposed.lines).toContain('RUN ["/usr/libexec/s2i/assemble"]');
		const labelled = await write({ builder: await sclorgImage(), source, imageScriptsUrl: 'image:///opt/s2i' });
		expect(labelled.lines).toContain('RUN ["/usr/libexec/s2i/assemble"]');
	});

	test('of an --image-scripts-url elsewhere fill what --scripts-url and the source do not have', async () => {
		const builder = await sclorgImage();
		const imageScriptsUrl = scriptsAt('assemble', 'run');
		const { lines, context } = await write({ builder, source: plainSource(), imageScriptsUrl });
		expect(lines).toEqual(expect.arrayContaining(['RUN ["/tmp/scripts/assemble"]', 'CMD ["/tmp/scripts/run"]']));
		expect(scriptsIn(context)).toEqual(['assemble', 'run']);
		const given = makeSource({ assemble: '#!/bin/sh\n# given\n' });
		const both = await write({ builder, source: plainSource(), imageScriptsUrl, scriptsUrl: `file://${given}` });
		expect(readFileSync(join(both.context, 'upload/scripts/assemble'), 'utf8')).toContain('# given');
		expect(both.lines).toContain('CMD ["/tmp/scripts/run"]');
	});
});

describe('injected files', () => {
	test('are mounted one by one, below WORKDIR when relative, and are in no layer', async () => {
		const secrets = makeSource({ key: 'hunter2', 'sub/bin/tool': '#!/bin/sh\n' });
		symlinkSync('key', join(secrets, 'link'));
		const file = join(makeSource({ token: 'x' }), 'token');
		const { lines, context } = await write({
			builder: await sclorgImage(),
			source: plainSource(),
			injections: [
				{ source: secrets, destination: '/tmp' },
				{ source: secrets, destination: '' },
				{ source: file, destination: 'etc/token' },
				{ source: file, destination: '/tmp' },
			],
		});
		const mount = (source: string, target: string) =>
			`--mount=type=bind,source=upload/injections/${source},target=${target}`;
		const words =
			lines
				.find((line) => line.startsWith('RUN '))
				?.split(' ')
				.filter((word) => word.startsWith('--mount')) ?? [];
		expect(words).toEqual([
			mount('0/key', '/tmp/key'),
			mount('0/link', '/tmp/link'),
			mount('0/sub/bin/tool', '/tmp/sub/bin/tool'),
			mount('1/key', '/opt/app-root/src/key'),
			mount('1/link', '/opt/app-root/src/link'),
			mount('1/sub/bin/tool', '/opt/app-root/src/sub/bin/tool'),
			mount('2/token', '/opt/app-root/src/etc/token'),
			mount('3/token', '/tmp/token'),
		]);
		expect(lines.filter((line) => /^(?:COPY|ADD)/.test(line))).toHaveLength(1);
		expect(readFileSync(join(context, 'upload/injections/0/link'), 'utf8')).toBe('hunter2');
	});

	test('that are not there are a usage error', async () => {
		const injections = [{ source: '/nonexistent/x', destination: '/tmp' }];
		const wanted = { builder: await sclorgImage(), source: plainSource(), injections };
		await expect(write(wanted)).rejects.toMatchObject({ code: 'USAGE' });
	});
});

describe('an incremental Dockerfile', () => {
	test('takes artifacts from the tag, by the image’s script', async () => {
		const { lines } = await write({
			builder: await sclorgImage(),
			source: plainSource(),
			tag: 'reg.example/app:1',
			incremental: true,
		});
		expect(lines[0]).toBe('FROM reg.example/app:1 AS cached');
		expect(lines[1]).toBe('USER 1001');
		expect(lines[2]).toContain('"/usr/libexec/s2i/save-artifacts", "/tmp/scripts/save-artifacts"]');
		expect(lines.some((line) => line.includes('from=cached'))).toBe(true);
	});

	test.each(['source', 'URL'])('runs the save-artifacts of the %s in another image, as another user', async (where) => {
		const script = { '.s2i/bin/save-artifacts': '#!/bin/sh\n' };
		const { lines, context } = await write({
			builder: await sclorgImage(),
			source: plainSource(where === 'source' ? script : {}),
			...(where === 'URL' && { scriptsUrl: scriptsAt('save-artifacts') }),
			tag: 'reg.example/app:2',
			previousImage: 'reg.example/app:1',
			assembleUser: '7',
			incremental: true,
		});
		expect(lines.slice(0, 3)).toEqual([
			'FROM reg.example/app:1 AS cached',
			'COPY --chown=7:0 ["upload/scripts/save-artifacts", "/tmp/scripts/save-artifacts"]',
			'USER 7',
		]);
		expect(scriptsIn(context)).toEqual(['save-artifacts']);
	});

	test('needs an image', async () => {
		const wanted = { builder: await sclorgImage(), source: plainSource(), incremental: true };
		await expect(write(wanted)).rejects.toMatchObject({ code: 'USAGE' });
	});
});
