import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.js';
import { removeTree } from '../support/fs.js';
import { makeWorkspace, requirePrograms, requireRoot } from '../support/host.js';
import { podmanRun } from '../support/podman.js';
import { makeSource, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const execute = promisify(execFile);
const PROJECT = join(import.meta.dirname, '../..');
const NODE = dirname(dirname(process.execPath));
const login = { username: 'ada', password: 'of-the-job' };
const COMMIT = '0f1e2d3c';
const AUTHOR = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.org'];
/** Whose the checkout and the home of a job are: the runner's. */
const RUNNER = 1001;

beforeEach((context) => {
	requireRoot(context);
	requirePrograms(context, 'podman', 'runc');
});

interface ReadmeJob {
	readonly heading: string;
	/** The lines of shell in its YAML. */
	readonly script: (yaml: string) => string;
	/** What the runner sets, with the registry at `host` and a directory of the job on a volume. */
	readonly variables: (host: string, directory: string) => Readonly<Record<string, string>>;
	/** What the job hands on. */
	readonly output: (stdout: string, directory: string) => string;
}

const JOBS: readonly ReadmeJob[] = [
	{
		heading: 'GitHub Actions',
		script: (yaml) => (yaml.split('run: |\n')[1] ?? '').replace(/^ {10}/gm, ''),
		variables: (_host, directory) => ({
			GITHUB_ACTOR: login.username,
			TOKEN: login.password,
			GITHUB_REPOSITORY: 'Team/App',
			GITHUB_SHA: COMMIT,
			GITHUB_OUTPUT: join(directory, 'output'),
		}),
		output: (_stdout, directory) => readFileSync(join(directory, 'output'), 'utf8').replace(/^image=/, ''),
	},
	{
		heading: 'GitLab CI',
		script: (yaml) => {
			const store = /S2OCI_STORE: (\S+)/.exec(yaml)?.[1] ?? '';
			return `export S2OCI_STORE="${store}"\n${(yaml.split('script:\n')[1] ?? '').replace(/^ {4}- /gm, '')}`;
		},
		variables: (host, directory) => ({
			CI_BUILDS_DIR: directory,
			CI_REGISTRY: host,
			CI_REGISTRY_USER: login.username,
			CI_REGISTRY_PASSWORD: login.password,
			CI_REGISTRY_IMAGE: `${host}/team/app`,
			CI_COMMIT_SHORT_SHA: COMMIT,
		}),
		output: (stdout) => stdout,
	},
];

/** What README.md has under `heading`, for the registry of the test, its builder and the s2oci of this checkout. */
function scriptOf({ heading, script }: ReadmeJob, host: string): string {
	const readme = readFileSync(join(PROJECT, 'README.md'), 'utf8');
	const yaml = new RegExp(`^### ${heading}\n\n\`\`\`yaml\n([^]*?)\`\`\``, 'm').exec(readme)?.[1] ?? '';
	const shown = script(yaml);
	const ours = shown
		.replace(/^npm install -g \S+\.tgz$/m, `ln -s ${PROJECT}/bin/s2oci.js /usr/local/bin/s2oci`)
		.replace('quay.io/sclorg/nodejs-22-c9s', `${host}/builders/tiny`)
		.replaceAll('ghcr.io', host);
	expect(ours).toMatch(/ln -s [^]*builders\/tiny/);
	return ours;
}

/** A checkout that belongs to the user of the runner. */
function makeCheckout(): string {
	const checkout = makeSource({ 'greeting.txt': 'hello\n' });
	for (const words of [
		['init', '-q'],
		['add', '.'],
		[...AUTHOR, 'commit', '-qm', 'Greet'],
	])
		execFileSync('git', ['-C', checkout, ...words]);
	execFileSync('chown', ['-R', String(RUNNER), checkout]);
	return checkout;
}

test.each(JOBS)('the job of README.md for $heading needs nothing but a plain container', async (job) => {
	const registry = await tinyRegistry({ basic: login });
	const { root, home } = makeWorkspace();
	chownSync(home, RUNNER, RUNNER);
	const own = mkdtempSync(join(tmpdir(), 's2oci-podman-'));
	onTestFinished(() => removeTree(own));
	const directory = join(root, 'builds');
	mkdirSync(directory);
	chmodSync(directory, 0o777);
	const checkout = makeCheckout();
	const variables = { HOME: home, PATH: process.env['PATH'] ?? '', ...job.variables(registry.host, directory) };
	const [podman = '', ...words] = podmanRun(own);
	const { stdout, stderr } = await execute(podman, [
		...words,
		...[root, checkout, PROJECT, NODE].flatMap((path) => ['--volume', `${path}:${path}`]),
		...Object.entries(variables).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
		...['--workdir', checkout, '--rootfs', '/:O', '/bin/sh', '-e', '-c', scriptOf(job, registry.host)],
	]);
	expect(stderr).toContain('rung 5');
	const pushed = registry.manifests.get(`team/app:${COMMIT}`);
	const digest = digestOf(pushed?.bytes ?? Buffer.alloc(0));
	expect(job.output(stdout, directory)).toBe(`${registry.host}/team/app:${COMMIT}@${digest}\n`);
	expect(stdout + stderr).not.toContain(login.password);
});
