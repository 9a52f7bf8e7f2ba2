import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, globSync, mkdirSync, mkdtempSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadGrammars } from '../../src/cli/commands.js';
import type { Rung } from '../../src/pipeline/events.js';
import type { BuildResult } from '../../src/pipeline/result.js';
import { agreement } from '../support/agreement.js';
import { openBuilderContainer, RESTRICTED } from '../support/builder-container.js';
import { lacking, removeTree } from '../support/fs.js';
import { makeWorkspace } from '../support/host.js';
import { elsewhere, openScene } from '../support/live-scene.js';
import { skipFor } from '../support/needs.js';
import { ownImages, PACKAGE, packageWords } from '../support/own-image.js';
import { podmanRun } from '../support/podman.js';
import { startRegistry, type TestRegistry } from '../support/registry.js';
import { identity } from '../support/same-image.js';
import { assembleSource, publish, readLayout, TINY_APP, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const execute = promisify(execFile);
const UNCONFINED = ['--security-opt', 'seccomp=unconfined', '--security-opt', 'unmask=ALL'];
const DIGEST = /sha256:[0-9a-f]{64}$/gm;

let directory = '';
let job = '';
let volume = '';
let made: readonly string[] = [];
const reason =
	process.getuid?.() === 0
		? lacking('podman', 'runc', 'umoci', 'skopeo', 'getcap')
		: 'only root can arrange such a host';
beforeAll(() => {
	if (reason !== undefined) return;
	directory = mkdtempSync(join(tmpdir(), 's2oci-own-'));
	chmodSync(directory, 0o755);
	const images = ownImages();
	({ job, volume } = images);
	made = digestsOf(images.printed);
});
let registry: TestRegistry;
beforeAll(async () => {
	if (reason !== undefined) return;
	registry = await startRegistry();
	publish(registry, readLayout(tinyLayout()));
	for (const layout of [job, volume]) publish(registry, readLayout(layout), `own/${basename(layout)}`, '1');
});
afterAll(async () => {
	if (reason !== undefined) return;
	await registry.close();
	removeTree(directory);
});

beforeEach((context) => {
	skipFor(context, reason);
});

const digestsOf = (printed: string) => printed.match(DIGEST) ?? [];

/** What a container of the image in `layout` prints, which podman pulls from the registry. */
async function run(layout: string, options: readonly string[], ...words: readonly string[]): Promise<string> {
	const [podman = '', ...rest] = podmanRun(directory);
	const name = `${registry.host}/own/${basename(layout)}:1`;
	const { stdout } = await execute(podman, [...rest, '--tls-verify=false', ...options, name, ...words]);
	return stdout;
}

/** The files of an image. */
function unpack(layout: string, name: string): string {
	const path = join(directory, name);
	execFileSync('umoci', ['raw', 'unpack', '--image', `${layout}:1`, path], { stdio: 'ignore' });
	return path;
}

test('made twice, elsewhere and with other habits, the images have the same digests', () => {
	const again = join(directory, 'again');
	mkdirSync(again);
	const env = { ...process.env, TMPDIR: again, LC_ALL: 'C', TZ: 'Asia/Tokyo' };
	const printed = execFileSync(
		'sh',
		['-c', 'umask 077 && exec "$0" "$@"', PACKAGE, ...packageWords(join(again, 'job'), join(again, 'volume'))],
		{ cwd: again, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
	);
	expect(digestsOf(printed)).toEqual(made);
	expect(made).toHaveLength(2);
});

test('skopeo reads what they are and how they are started', () => {
	const inspect = (layout: string, ...options: readonly string[]) =>
		JSON.parse(execFileSync('skopeo', ['inspect', ...options, `oci:${layout}:1`], { encoding: 'utf8' })) as unknown;
	expect([job, volume].map((layout) => inspect(layout))).toMatchObject(made.map((Digest) => ({ Digest })));
	const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly version: string };
	const Labels = {
		'org.opencontainers.image.version': version,
		'org.opencontainers.image.revision': expect.stringMatching(/^[0-9a-f]{40}/) as string,
		'org.opencontainers.image.licenses': 'Apache-2.0',
	};
	expect(inspect(job, '--config')).toMatchObject({ os: 'linux', config: { Labels, Cmd: ['--help'] } });
	expect(inspect(volume, '--config')).toMatchObject({ os: 'linux', config: { Labels } });
});

describe('the image for jobs', () => {
	test('has file capabilities where Debian sets the user, and nothing of the machine that made it', () => {
		const files = unpack(job, 'job-files');
		const programs = ['newuidmap', 'newgidmap'].map((name) => join(files, 'usr/bin', name));
		expect(execFileSync('getcap', programs, { encoding: 'utf8' })).toBe(
			`${String(programs[0])} cap_setuid=ep\n${String(programs[1])} cap_setgid=ep\n`,
		);
		expect(programs.map((path) => statSync(path).mode & 0o7777)).toEqual([0o755, 0o755]);
		const paths = ['etc/resolv.conf', 'etc/hostname', 'etc/apt/sources.list*', 'var/lib/apt/lists/*_*'];
		expect(globSync(paths, { cwd: files })).toEqual([]);
		expect(readFileSync(join(files, 'usr/share/doc/runc/copyright'), 'utf8')).toContain('License');
	});

	test('is a shell where one is asked for, as GitLab does, and else s2oci', async () => {
		expect(await run(job, [], 'sh', '-c', 'echo "$HOME" && s2oci --version')).toMatch(/^\/home\/s2oci\ns2oci \S+\n$/);
		expect(await run(job, [])).toContain('Usage: s2oci <command>');
		const names = (await loadGrammars()).map(({ name }) => name);
		expect(names).toContain('build');
		expect(await run(job, [], 'sh', '-c', `for name in ${names.join(' ')}; do command -v $name; done; true`)).toBe('');
	});

	const seen = agreement('the image');
	test.each<readonly [who: string, options: readonly string[], rung: Partial<Rung>]>([
		['root, as podman starts it', [], { number: 5, sandbox: 'chroot' }],
		['its user', ['--user', '1000', ...UNCONFINED], { number: 2, sandbox: 'runc' }],
		['a user whom nobody knows', ['--user', '1000660000:0', ...UNCONFINED], { number: 3 }],
		['such a user of another group', ['--user', '4711:4711', ...UNCONFINED], { number: 3 }],
	])('builds and pushes as %s', async (_who, options, rung) => {
		const { host } = registry;
		const { home } = makeWorkspace();
		chmodSync(home, 0o777);
		const seeing = ['--volume', `${home}:/out`, '--volume', `${TINY_APP}:/src:ro`, '--workdir', '/src'];
		const words = ['build', '.', `${host}/builders/tiny`, `${host}/team/app:1`, '--copy', '--result-file'];
		const env = ['--env', 'SOURCE_DATE_EPOCH=1750000000'];
		const printed = await run(job, [...seeing, ...env, ...options], ...words, '/out/result.json');
		const result = JSON.parse(readFileSync(join(home, 'result.json'), 'utf8')) as BuildResult;
		expect(result.rung).toMatchObject(rung);
		expect(printed).toBe(`${host}/team/app:1@${String(result.digest)}\n`);
		const pulled = [
			'inspect',
			'--no-tags',
			'--tls-verify=false',
			'--format',
			'{{.Digest}}',
			`docker://${host}/team/app:1`,
		];
		expect((await execute('skopeo', pulled)).stdout.trim()).toBe(result.digest);
		seen.add(identity(result));
	});
	seen.isTested();
});

describe('the image for volumes', () => {
	test('puts s2oci on a volume, from which a job in a builder image builds in place', async () => {
		const scene = await openScene();
		const source = assembleSource('cp -R /tmp/src/. .; mkdir made; chmod -R g+rwX made');
		const expected = await elsewhere(scene, source);
		const container = openBuilderContainer(scene.layout, source);
		const seeing = [...RESTRICTED, '--read-only', '--volume', `${container.volume}:/vol`];
		await run(volume, seeing, '/vol');
		await run(volume, seeing, '/vol');
		expect(execFileSync('ls', ['-A', container.volume], { encoding: 'utf8' })).toBe('s2oci\n');
		const { host } = scene.registry;
		const words = `${source} ${host}/builders/tiny ${host}/team/app:1 --copy --result-file /vol/result.json`;
		await container.run(`cd /opt/app-root/src && /vol/s2oci/bin/s2oci build ${words}`);
		const result = JSON.parse(readFileSync(join(container.volume, 'result.json'), 'utf8')) as BuildResult;
		expect(result.rung).toMatchObject({ number: 6, rootfs: 'in-place' });
		expect(`${String(result.layer?.diffId)} ${String(result.digest)}`).toBe(expected);
	});

	test('says what is missing', async () => {
		await expect(run(volume, [])).rejects.toMatchObject({
			code: 2,
			stderr: expect.stringContaining('hint: Give') as string,
		});
		await expect(run(volume, RESTRICTED, '/nowhere')).rejects.toMatchObject({
			code: 4,
			stderr: expect.stringMatching(/^error: cannot put s2oci into \/nowhere: .*\nhint: Mount a volume/) as string,
		});
	});

	test('has nothing but a directory that can be copied, and what copies it', () => {
		const files = unpack(volume, 'volume-files');
		expect(execFileSync('ls', ['-A', files], { encoding: 'utf8' })).toBe('copy.mjs\ns2oci\n');
		expect(execFileSync(join(files, 's2oci/bin/s2oci'), ['--version'], { encoding: 'utf8' })).toMatch(/^s2oci \d/);
	});
});
