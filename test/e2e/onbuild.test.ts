import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agreement } from '../support/agreement.js';
import { build, s2oci } from '../support/build.js';
import { type BuiltImage, pulled } from '../support/built.js';
import { leftovers, makeWorkspace, requireUser } from '../support/host.js';
import { type ImageParts, publishImage } from '../support/layers.js';
import { startRegistry, type TestRegistry } from '../support/registry.js';
import { emptyRegistry, makeSource, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const HOME = 'opt/app-root/src';
const env = { SOURCE_DATE_EPOCH: '1750000000' };
/** An image that is no S2I builder: it has nothing but ONBUILD. */
const NO_SCRIPTS: ImageParts['config'] = { Labels: {}, Env: ['PATH=/bin:/usr/bin'], Cmd: undefined };

/** A source with an executable file for each of `names`. */
function programs(names: readonly string[], files: Readonly<Record<string, string>> = {}): string {
	const made = Object.fromEntries(names.map((name) => [name, `#!/bin/sh\necho ${name} in $(pwd)\n`]));
	const source = makeSource({ 'greeting.txt': 'hello\n', ...made, ...files });
	for (const name of names) chmodSync(join(source, name), 0o755);
	return source;
}

async function built(
	onBuild: readonly string[],
	source: string,
	more: ImageParts = {},
	...args: readonly string[]
): Promise<BuiltImage> {
	const registry = await emptyRegistry();
	const builder = publishImage(registry, 'onbuild', { ...more, config: { ...more.config, OnBuild: onBuild } });
	await build(makeWorkspace(), [source, builder, `${registry.host}/team/app`, '--copy', ...args], { env });
	return pulled(registry, 'team/app');
}

async function failed(
	onBuild: readonly string[],
	source: string,
	config: ImageParts['config'] = {},
): Promise<{ readonly status: number | null; readonly stderr: string }> {
	const registry = await emptyRegistry();
	const builder = publishImage(registry, 'onbuild', { config: { ...config, OnBuild: onBuild } });
	const workspace = makeWorkspace();
	const finished = await s2oci(workspace, ['build', source, builder, `${registry.host}/team/app`, '--copy']);
	expect(await leftovers(workspace)).toEqual([]);
	expect(registry.manifests.has('team/app:latest')).toBe(false);
	return finished;
}

describe('a builder image with ONBUILD and S2I scripts', () => {
	const ON_BUILD = [
		'ENV MADE_BY=onbuild',
		'LABEL made.by=$MADE_BY',
		'USER root',
		'COPY --chown=1001:0 . /opt/copied/',
		'COPY greeting.txt pages/* /opt/texts/',
		'RUN id -u > /opt/who && mkdir /opt/dir && mv /opt/texts/about.txt /opt/dir/',
		'WORKDIR /opt/work',
		'USER 1001',
		'RUN ["/bin/sh", "-c", "id -u > /opt/copied/who; pwd >> /opt/copied/who; echo $MADE_BY $TINY_X >> /opt/copied/who"]',
		'WORKDIR /opt/app-root/src',
		'EXPOSE 9090',
	];
	const images = agreement('the image');
	let registry: TestRegistry;
	beforeAll(async () => {
		registry = await startRegistry();
		publishImage(registry, 'onbuild', { config: { OnBuild: ON_BUILD } });
	});
	afterAll(() => registry.close());

	for (const name of ['root', 's2oci-subuid', 's2oci-plain'] as const) {
		test(`executes both, and ${name} gets the same image as everybody`, async (context) => {
			const workspace = makeWorkspace(requireUser(context, name));
			const source = makeSource({ 'greeting.txt': 'hello\n', 'pages/about.txt': 'about\n' });
			const args = [
				source,
				`${registry.host}/builders/onbuild`,
				`${registry.host}/team/app`,
				'--copy',
				'-e',
				'TINY_X=mine',
			];
			const { result } = await build(workspace, args, { env });
			const { entries, config } = await pulled(registry, 'team/app');
			const text = (path: string) => entries.get(path)?.content;
			const owner = (path: string) => [entries.get(path)?.header.uid, entries.get(path)?.header.gid];
			expect([text('opt/who'), text('opt/copied/who')]).toEqual(['0\n', '1001\n/opt/work\nonbuild mine\n']);
			expect([text('opt/copied/pages/about.txt'), text('opt/dir/about.txt')]).toEqual(['about\n', 'about\n']);
			expect(text(`${HOME}/assemble-invoked`)).toBe('assembled\n');
			expect(['opt/who', 'opt/dir', 'opt/dir/about.txt', 'opt/texts/greeting.txt'].map(owner)).toEqual(
				Array(4).fill([0, 0]),
			);
			expect(['opt/copied', 'opt/copied/who', 'opt/copied/pages', `${HOME}/kept`].map(owner)).toEqual(
				Array(4).fill([1001, 0]),
			);
			expect(config.config).toMatchObject({
				User: '1001',
				WorkingDir: `/${HOME}`,
				Cmd: ['/usr/libexec/s2i/run'],
				ExposedPorts: { '8080/tcp': {}, '9090/tcp': {} },
				Labels: { 'made.by': 'onbuild' },
			});
			expect(config.config.Env).toEqual(expect.arrayContaining(['MADE_BY=onbuild', 'TINY_X=mine']));
			expect(config.config).not.toHaveProperty('OnBuild');
			images.add(`${String(result.layer?.diffId)} ${String(result.layer?.digest)}`);
			expect(await leftovers(workspace)).toEqual([]);
		});
	}
	images.isTested();
});

describe('ONBUILD instructions', () => {
	test('that copy to the place of the source decide what assemble gets, and it is in the image', async () => {
		const source = makeSource({ 'greeting.txt': 'hello\n', 'left-out': '' });
		const { entries } = await built(
			['COPY greeting.txt /tmp/src/', 'RUN mkdir -p /tmp/made', 'USER 0', 'RUN touch /tmp/src/onbuild', 'USER 1001'],
			source,
		);
		for (const path of ['tmp/src/onbuild', `${HOME}/onbuild`, `${HOME}/greeting.txt`])
			expect(entries.has(path), path).toBe(true);
		expect(entries.has(`${HOME}/left-out`)).toBe(false);
	});

	test('unpack archives that they ADD, and honour .s2iignore', async () => {
		const source = makeSource({ '.s2iignore': 'secret\npacked\n', secret: 'x', 'a.txt': 'a', 'packed/in/b.txt': 'b' });
		execFileSync('tar', [
			'-C',
			join(source, 'packed'),
			'--owner=1001',
			'--group=0',
			'-czf',
			join(source, 'p.tgz'),
			'in',
		]);
		const { entries } = await built(['ADD p.tgz /opt/added/', 'COPY . /opt/copied'], source);
		const below = (path: string) => [...entries.keys()].filter((name) => name.startsWith(path));
		expect(below('opt/added/')).toEqual(['opt/added/in', 'opt/added/in/b.txt']);
		expect(entries.get('opt/added/in/b.txt')).toMatchObject({ content: 'b', header: { uid: 1001, gid: 0 } });
		expect(below('opt/copied/')).toEqual(['opt/copied/.s2iignore', 'opt/copied/a.txt', 'opt/copied/p.tgz']);
	});

	test('see the environment of the source and of the command line', async () => {
		const source = makeSource({ '.s2i/environment': 'FROM_FILE=f\nBOTH=file\n' });
		const run = ['USER 0', 'RUN echo $FROM_FILE $BOTH $HIDDEN > /opt/seen', 'USER 1001'];
		const { entries, config } = await built(run, source, {}, '-e', 'BOTH=option', '--build-env', 'HIDDEN=secret');
		expect(entries.get('opt/seen')?.content).toBe('f option secret\n');
		expect(config.config.Env).toEqual(expect.arrayContaining(['FROM_FILE=f', 'BOTH=option']));
		expect(JSON.stringify(config)).not.toContain('HIDDEN');
	});

	test('that cannot be executed are named before any is', async () => {
		const { status, stderr } = await failed(
			['RUN echo began', 'RUN --mount=type=cache,target=/x true'],
			programs(['run']),
		);
		expect([status, stderr]).toEqual([3, expect.stringMatching(/^error: RUN --mount is not supported in ONBUILD: /m)]);
		expect(stderr).not.toContain('began\n');
	});

	test('that fail end the build, with what they printed', async () => {
		const { status, stderr } = await failed(['RUN echo reason >&2; exit 7'], programs(['run']));
		expect(status).toBe(1);
		expect(stderr).toMatch(
			/error: ONBUILD RUN echo reason >&2; exit 7 ended with status 7\. Its last lines:\n\s*reason/,
		);
	});

	test('cannot copy from outside of the source', async () => {
		const { status, stderr } = await failed(['COPY ../../etc/passwd /x'], programs(['run']));
		expect([status, stderr]).toEqual([3, expect.stringContaining('wants files from outside of the source')]);
	});
});

describe('an ONBUILD image without S2I scripts', () => {
	const COPY = ['WORKDIR /app', 'COPY . .'];

	test('starts the file that S2I guesses, and it runs', async () => {
		const [workspace, registry] = [makeWorkspace(), await emptyRegistry()];
		const builder = publishImage(registry, 'onbuild', { config: { ...NO_SCRIPTS, OnBuild: COPY } });
		const image = `oci:${workspace.root}/image:1`;
		await build(workspace, [
			programs(['start', 'run.sh']),
			builder,
			`${registry.host}/team/app`,
			'--copy',
			'-o',
			image,
		]);
		const { config } = await pulled(registry, 'team/app');
		expect(config.config).toMatchObject({ Entrypoint: ['./run.sh'], WorkingDir: '/app' });
		expect(config.config.Cmd ?? []).toEqual([]);
		const { status, stdout } = await s2oci(workspace, ['run', image]);
		expect([status, stdout]).toEqual([0, 'run.sh in /app\n']);
	});

	test('runs an assemble script that the source brings', async () => {
		const source = programs(['run'], { '.s2i/bin/assemble': '#!/bin/sh\necho mine > /opt/app-root/assembled\n' });
		const { entries, config } = await built(COPY, source, { config: NO_SCRIPTS });
		expect(entries.get('opt/app-root/assembled')?.content).toBe('mine\n');
		expect(config.config.Entrypoint).toEqual(['./run']);
	});

	test('prefers a run script of the source, and keeps a CMD when there is nothing else', async () => {
		const own = await built(COPY, programs(['start'], { '.s2i/bin/run': '#!/bin/sh\n' }), { config: NO_SCRIPTS });
		expect(own.config.config.Cmd).toEqual(['/tmp/scripts/run']);
		const kept = await built([...COPY, 'CMD ["cat", "greeting.txt"]'], makeSource({ 'greeting.txt': 'x' }), {
			config: NO_SCRIPTS,
		});
		expect(kept.config.config.Cmd).toEqual(['cat', 'greeting.txt']);
	});

	test('is refused when nothing says what to run', async () => {
		const { status, stderr } = await failed(COPY, makeSource({ 'greeting.txt': 'x' }), NO_SCRIPTS);
		expect([status, stderr]).toEqual([1, expect.stringContaining('there is no run script')]);
	});
});
