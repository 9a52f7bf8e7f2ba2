import { lstatSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { host, inImage, install, LABEL, makeSource, requests, script, serve, warnings } from './install.js';

describe('--scripts-url', () => {
	test('downloads scripts, executable, from below its path; what it does not have comes from elsewhere', async () => {
		serve('/s2i/assemble?token=s3cret');
		const done = await install({
			scriptsUrl: `http://ada:s3cret@${host}/s2i/?token=s3cret`,
			optional: ['save-artifacts'],
			source: {},
			labels: { [LABEL]: 'image:///s2i' },
			image: inImage,
		});
		expect(done.scripts.get('assemble')).toEqual({
			name: 'assemble',
			path: '/tmp/scripts/assemble',
			external: true,
			from: `http://${host}/s2i/assemble`,
		});
		expect(done.scripts.get('run')).toMatchObject({ path: '/s2i/run', external: false });
		expect(done.scripts.has('save-artifacts')).toBe(false);
		expect([done.placed, done.text('assemble')]).toEqual([true, script('url')]);
		expect(statSync(join(done.directory, 'assemble')).mode & 0o7777).toBe(0o755);
		expect(requests).toEqual(['assemble', 'run', 'save-artifacts'].map((name) => `/s2i/${name}?token=s3cret`));
		expect(JSON.stringify(done.events)).not.toContain('s3cret');
	});

	test.each([403, 500, 302])('ends the build when a script is answered with %i', async (status) => {
		serve('/s2i/assemble');
		serve('/s2i/run', '', status);
		const image = { labels: { [LABEL]: 'image:///s2i' }, image: inImage };
		await expect(install({ ...image, scriptsUrl: `http://ada:s3cret@${host}/s2i` })).rejects.toMatchObject({
			code: 'HTTP_FAILED',
			message: `the run script cannot be downloaded: GET http://${host}/s2i/run was answered with status ${status}`,
			hint: expect.stringMatching(/\w/) as string,
		});
	});

	test('ends the build when its host cannot be reached', async () => {
		await expect(install({ scriptsUrl: 'http://ada:s3cret@127.0.0.1:1/s2i' })).rejects.toMatchObject({
			code: 'HTTP_FAILED',
			message: expect.stringMatching(
				/^the assemble script cannot be downloaded: GET http:\/\/127\.0\.0\.1:1\/s2i\/assemble failed: .*ECONNREFUSED/,
			) as string,
		});
	});

	test.each([
		['an HTML page', '<!doctype html><title>Log in</title>', 'SCRIPT_INVALID', 'is an HTML page'],
		['nothing', '', 'SCRIPT_INVALID', 'is empty'],
		['Windows line ends', '#!/bin/sh\r\necho\r\n', 'SCRIPT_INVALID', 'Windows line ends'],
		['more than 1 MiB', `#!/bin/sh\n${'#'.repeat(1 << 20)}`, 'HTTP_FAILED', 'larger than 1048576 bytes'],
	])('is refused when it answers with %s', async (_what, body, code, message) => {
		serve('/assemble', body);
		const failed = install({ required: ['assemble'], scriptsUrl: `http://${host}` });
		await expect(failed).rejects.toMatchObject({ code, hint: expect.stringMatching(/\w/) as string });
		await expect(failed).rejects.toThrow(message);
	});

	test.each(['http', 'file', 'image'])(
		'that has no script at all is an error, although others have them: %s',
		async (kind) => {
			const url = { http: `http://${host}/none`, file: 'file:///nonexistent/none', image: 'image:///none' }[kind] ?? '';
			const failed = install({ scriptsUrl: url, labels: { [LABEL]: 'image:///s2i' }, image: inImage });
			await expect(failed).rejects.toMatchObject({ code: 'SCRIPT_MISSING' });
			await expect(failed).rejects.toThrow(/^the scripts URL .*none has no script: looked at .*none\/usage/);
		},
	);

	test('may have only scripts that this build does not want', async () => {
		serve('/s2i/usage');
		const { scripts } = await install({
			scriptsUrl: `http://${host}/s2i`,
			labels: { [LABEL]: 'image:///s2i' },
			image: inImage,
		});
		expect(scripts.get('assemble')?.path).toBe('/s2i/assemble');
	});

	test('may be a directory of this machine, absolute or relative', async () => {
		const directory = makeSource({ 'scripts/assemble': script('file'), 'scripts/run': 'echo no interpreter\n' });
		const done = await install({ scriptsUrl: `file://${directory}/scripts` });
		expect(done.text('assemble')).toBe(script('file'));
		expect(done.text('run')).toBe('#!/bin/sh\necho no interpreter\n');
		expect(warnings(done)).toEqual([expect.stringMatching(/scripts\/run has no #! line; \/bin\/sh runs it$/)]);
		const cwd = process.cwd();
		process.chdir(directory);
		onTestFinished(() => process.chdir(cwd));
		expect((await install({ scriptsUrl: 'file://scripts' })).text('assemble')).toBe(script('file'));
		expect(lstatSync(join(directory, 'scripts/assemble')).isFile()).toBe(true);
	});

	test('that is no URL is refused before anything is done', async () => {
		await expect(install({ scriptsUrl: '/usr/libexec/s2i' })).rejects.toMatchObject({ code: 'USAGE' });
	});
});
