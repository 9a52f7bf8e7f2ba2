import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { build, type Finished, s2oci } from '../support/build.js';
import { type BuiltImage, decoded } from '../support/built.js';
import { makeWorkspace } from '../support/host.js';
import { makeSource, readLayout, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const HOME = 'opt/app-root/src';
const ASSEMBLE = '#!/bin/sh\necho downloaded > downloaded\n';

async function builtFrom(
	source: string,
	args: readonly string[],
	cwd?: string,
): Promise<Finished & { readonly image: BuiltImage }> {
	const workspace = makeWorkspace();
	const layout = join(workspace.root, 'image');
	const command = [source, `oci:${tinyLayout()}:latest`, `oci:${layout}:1`, ...args];
	const finished = await build(workspace, command, cwd === undefined ? {} : { cwd });
	return { ...finished, image: await decoded(readLayout(layout)) };
}

function fails(source: string, ...args: readonly string[]): Promise<Finished> {
	return s2oci(makeWorkspace(), ['build', source, `oci:${tinyLayout()}:latest`, ...args]);
}

/** A server with these files, which wants a password. */
async function serve(files: Readonly<Record<string, string>>): Promise<string> {
	const authorization = `Basic ${Buffer.from('ada:s3cret').toString('base64')}`;
	const server = createServer((request, response) => {
		const text = files[request.url ?? ''];
		const status = request.headers.authorization !== authorization ? 401 : text === undefined ? 404 : 200;
		response.writeHead(status).end(text);
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	onTestFinished(() => {
		server.closeAllConnections();
		server.close();
	});
	return `http://ada:s3cret@127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('--scripts-url', () => {
	test('may have only some of the scripts: assemble is downloaded, run stays that of the image', async () => {
		const url = await serve({ '/s2i/assemble': ASSEMBLE });
		const source = makeSource({ '.s2i/bin/assemble': '#!/bin/sh\nexit 1\n' });
		const { image, stderr } = await builtFrom(source, ['--scripts-url', `${url}/s2i`, '--loglevel', '5']);
		expect(image.entries.get(`${HOME}/downloaded`)?.content).toBe('downloaded\n');
		expect(image.entries.get('tmp/scripts/assemble')).toMatchObject({ content: ASSEMBLE, header: { mode: 0o755 } });
		expect(image.config.config.Cmd).toEqual(['/usr/libexec/s2i/run']);
		expect(stderr).not.toContain('s3cret');
	});

	test('may be a directory relative to the working directory', async () => {
		const scripts = makeSource({ 's2i/assemble': ASSEMBLE, 's2i/run': '#!/bin/sh\necho mine\n' });
		const { image } = await builtFrom(makeSource({ file: '' }), ['--scripts-url', 'file://s2i'], scripts);
		expect(image.entries.get(`${HOME}/downloaded`)?.content).toBe('downloaded\n');
		expect(image.config.config.Cmd).toEqual(['/tmp/scripts/run']);
		expect(image.entries.get('tmp/scripts/run')?.content).toBe('#!/bin/sh\necho mine\n');
	});

	test('may be a directory of the image, which wins over the source', async () => {
		const source = makeSource({ '.s2i/bin/assemble': '#!/bin/sh\nexit 1\n' });
		const { image } = await builtFrom(source, ['--scripts-url', 'image:///usr/libexec/s2i/']);
		expect(image.entries.has(`${HOME}/assemble-invoked`)).toBe(true);
		expect(image.config.config.Cmd).toEqual(['/usr/libexec/s2i/run']);
	});

	test('that has no script ends the build before assemble runs', async () => {
		const url = await serve({});
		const failed = await fails(makeSource({ file: '' }), '--scripts-url', `${url}/none`);
		expect([failed.status, failed.result?.error?.code]).toEqual([1, 'SCRIPT_MISSING']);
		expect(failed.stderr).toMatch(/the scripts URL .*\/none has no script/);
		expect(failed.stderr).not.toContain('s3cret');
	});

	test('that names a missing directory of the image lists where it was looked', async () => {
		const source = makeSource({ '.s2i/bin/run': '#!/bin/sh\n' });
		const failed = await fails(source, '--scripts-url', 'image:///nonexistent');
		expect(failed.result?.error).toMatchObject({
			code: 'SCRIPT_MISSING',
			message: expect.stringContaining('/nonexistent/assemble in the image') as string,
		});
	});

	test.each([
		['http://127.0.0.1:1/s2i', 3, 'HTTP_FAILED'],
		['/usr/libexec/s2i', 2, 'USAGE'],
	])('that cannot be used is an error: %s', async (url, status, code) => {
		const failed = await fails(makeSource({ file: '' }), '--scripts-url', url);
		expect(failed.status).toBe(status);
		if (status !== 2) expect(failed.result?.error?.code).toBe(code);
		expect(failed.stderr).toMatch(/^hint: \S/m);
	});
});

describe('scripts of the source', () => {
	test('in .sti/bin work, with a deprecation', async () => {
		const { image, stderr } = await builtFrom(makeSource({ '.sti/bin/assemble': ASSEMBLE }), []);
		expect(image.entries.get(`${HOME}/downloaded`)?.content).toBe('downloaded\n');
		expect(stderr).toContain('.sti/bin are deprecated');
	});

	test('with Windows line ends end the build with a hint', async () => {
		const failed = await fails(makeSource({ '.s2i/bin/assemble': '#!/bin/sh\r\ntrue\r\n' }));
		expect([failed.status, failed.result?.error?.code]).toEqual([1, 'SCRIPT_INVALID']);
		expect(failed.stderr).toMatch(/^hint: .*dos2unix/m);
	});

	test('without a #! line are run by /bin/sh', async () => {
		const { image } = await builtFrom(makeSource({ '.s2i/bin/assemble': 'echo plain > plain\n' }), []);
		expect(image.entries.get(`${HOME}/plain`)?.content).toBe('plain\n');
	});
});
