import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, type TestContext, test } from 'vitest';
import type { ConfigJson } from '../../support/built.js';
import { removeTree } from '../../support/fs.js';
import { requirePrograms } from '../../support/host.js';
import { needs } from '../../support/needs.js';
import { assembleSource, makeSource, readLayout, tinyLayout, withTinyBuilder } from '../../support/tiny.js';
import { emptyDirectory, type Wanted, write } from './request.js';

withTinyBuilder();

/** buildah's own defaults may be more than this machine allows. */
const LIMITS = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];

/** buildah with a storage of its own, and what it makes. */
interface Buildah {
	/** Builds what `wanted` gives, as `tag`; resolves with the Dockerfile's text. */
	readonly build: (tag: string, wanted: Omit<Wanted, 'builder'>, ...options: readonly string[]) => Promise<string>;
	readonly config: (tag: string) => ConfigJson;
	/** Text of a file of the image; throws when it does not exist. */
	readonly read: (tag: string, path: string) => string;
	/** Every path below `path`. */
	readonly list: (tag: string, path: string) => readonly string[];
}

/** The tiny builder for FROM: buildah makes a name of the path, and names have no capitals. */
function lowerCaseLayout(): string {
	const path = join(tmpdir(), `s2oci-layout-${process.pid}`);
	symlinkSync(tinyLayout(), path);
	onTestFinished(() => {
		rmSync(path);
	});
	return path;
}

function openBuildah(context: TestContext): Buildah {
	requirePrograms(context, 'buildah');
	needs(context, process.getuid?.() === 0, 'buildah needs root here, or a user namespace of its own');
	const root = emptyDirectory();
	const builder = `oci:${lowerCaseLayout()}:latest`;
	const storage = join(root, 'storage');
	mkdirSync(storage);
	onTestFinished(() => removeTree(storage));
	const run = (...args: readonly string[]): string => {
		const options = ['--root', storage, '--runroot', join(root, 'run'), '--storage-driver', 'vfs'];
		return execFileSync('buildah', [...options, ...args], {
			encoding: 'utf8',
			stdio: ['ignore', 'pipe', 'pipe'],
			env: { PATH: process.env['PATH'], HOME: root, TMPDIR: root },
		});
	};
	const exported = (tag: string): string => {
		const layout = join(root, `layout-${tag}`);
		run('push', '-q', tag, `oci:${layout}:x`);
		return layout;
	};
	const mounted = (tag: string): string => run('mount', run('from', tag).trim()).trim();
	return {
		build: async (tag, wanted, ...options) => {
			const { context: directory, text } = await write({ ...wanted, builder });
			run('bud', '--isolation', 'chroot', ...LIMITS, ...options, '-t', tag, directory);
			return text;
		},
		config: (tag) => {
			const { manifest, blobs } = readLayout(exported(tag));
			const { config } = JSON.parse(Buffer.from(manifest).toString()) as {
				readonly config: { readonly digest: string };
			};
			return JSON.parse(Buffer.from(blobs.get(config.digest) ?? []).toString()) as ConfigJson;
		},
		read: (tag, path) => readFileSync(join(mounted(tag), path), 'utf8'),
		list: (tag, path) => {
			const top = mounted(tag);
			return execFileSync('find', [join(top, path)], { encoding: 'utf8' })
				.split('\n')
				.filter((line) => line !== '')
				.map((line) => line.slice(top.length))
				.sort();
		},
	};
}

const HOME = '/opt/app-root/src';

describe('a Dockerfile that buildah builds', () => {
	test('gives the image that a build gives', async (context) => {
		const { build, config, read } = openBuildah(context);
		const source = assembleSource('id -u > uid; echo "$GREETING" > said; cp /tmp/src/greeting.txt .', {
			'.s2i/environment': 'GREETING=it\'s "$HOME" \\n\n',
		});
		await build('app', {
			source,
			tag: 'reg.example/app:1',
			labels: [{ name: 'org.example/quoted', value: '$x "y" \\ z' }],
			environment: [{ name: 'EXTRA', value: ' a=b,c ' }],
		});
		const { config: made } = config('app');
		expect(made).toMatchObject({
			Cmd: ['/usr/libexec/s2i/run'],
			User: '1001',
			WorkingDir: HOME,
			Labels: {
				'io.k8s.display-name': 'reg.example/app:1',
				'io.openshift.s2i.build.source-location': source,
				'org.example/quoted': '$x "y" \\ z',
			},
		});
		expect(made.Entrypoint ?? []).toEqual([]);
		expect(made.Env).toEqual(expect.arrayContaining(['GREETING=it\'s "$HOME" \\n', 'EXTRA= a=b,c ']));
		expect(read('app', `${HOME}/said`)).toBe('it\'s "$HOME" \\n\n');
		expect(read('app', `${HOME}/uid`)).toBe('1001\n');
		expect(read('app', `${HOME}/greeting.txt`)).toBe('hello\n');
		expect(read('app', '/tmp/scripts/assemble')).toContain('greeting.txt');
	});

	test('assembles as another user and gives USER back', async (context) => {
		const { build, config, read } = openBuildah(context);
		const source = assembleSource('id -u > uid; stat -c %u /tmp/src/greeting.txt > owner');
		await build('app', { source, assembleUser: '0', destination: '/tmp' });
		expect(config('app').config.User).toBe('1001');
		expect(read('app', `${HOME}/uid`) + read('app', `${HOME}/owner`)).toBe('0\n0\n');
	});

	test('shows assemble secrets, injected files and build variables, and keeps none of them', async (context) => {
		const { build, config, read, list } = openBuildah(context);
		const secret = join(emptyDirectory(), 'token');
		writeFileSync(secret, 'secret-of-file');
		const injected = makeSource({ key: 'secret-of-injection', 'bin/tool': '#!/bin/sh\necho ran\n' });
		const source = assembleSource(
			'cat /run/secrets/npm /tmp/key "$HOME/key" | wc -c > seen; printf %s "$TOKEN" | wc -c >> seen; sh /tmp/bin/tool >> seen',
		);
		const text = await build(
			'app',
			{
				source,
				secrets: [{ id: 'npm', from: { file: secret } }],
				injections: [
					{ source: injected, destination: '/tmp' },
					{ source: injected, destination: '' },
				],
				buildEnvironment: [{ name: 'TOKEN', value: "secret-of-'variable\n$x" }],
			},
			'--secret',
			`id=npm,src=${secret}`,
		);
		expect(read('app', `${HOME}/seen`)).toBe('52\n22\nran\n');
		expect(text).not.toContain('secret-of');
		expect(JSON.stringify(config('app'))).not.toContain('secret-of');
		const left = [...list('app', '/tmp'), ...list('app', '/run'), ...list('app', HOME)];
		const texts = left
			.filter((path) => /key$|tool$|npm$|build-environment$/.test(path))
			.map((path) => read('app', path));
		expect(texts.join('')).toBe('');
	});

	test('fails when a secret is not given', async (context) => {
		const { build } = openBuildah(context);
		const secrets = [{ id: 'npm', from: { variable: 'X' } }];
		await expect(build('app', { source: assembleSource('true'), secrets })).rejects.toThrow(/secret/);
	});

	test('restores the artifacts of the previous image', async (context) => {
		const { build, read, list } = openBuildah(context);
		const source = assembleSource(
			'if [ -e /tmp/artifacts/count ]; then cp /tmp/artifacts/count before; fi; echo "${S2I_INCREMENTAL-clean}" > how; echo 1 >> before; cp before count',
			{ '.s2i/bin/save-artifacts': '#!/bin/sh\ncd "$HOME" && tar -cf - count\n' },
		);
		const wanted = { source, tag: 'localhost/app:1' };
		await build('localhost/app:1', wanted);
		expect(read('localhost/app:1', `${HOME}/how`)).toBe('clean\n');
		await build('second', { ...wanted, incremental: true });
		expect(read('second', `${HOME}/count`)).toBe('1\n1\n');
		expect(read('second', `${HOME}/how`)).toBe('true\n');
		expect(list('second', '/tmp').filter((path) => path.includes('artifacts') && !path.includes('scripts'))).toEqual(
			[],
		);
	});

	test('is a clean build when the previous image saves nothing', async (context) => {
		const { build, read } = openBuildah(context);
		const script = { '.s2i/bin/save-artifacts': '#!/bin/sh\necho sorry >&2\nexit 3\n' };
		const source = assembleSource('echo "${S2I_INCREMENTAL-clean}" > how', script);
		await build('localhost/app:1', { source });
		await build('second', { source, tag: 'localhost/app:1', incremental: true });
		expect(read('second', `${HOME}/how`)).toBe('clean\n');
	});
});
