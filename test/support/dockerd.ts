import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished, type TestContext } from 'vitest';
import { requirePrograms, requireRoot, until, type Workspace } from './host.js';
import { needs } from './needs.js';
import { tinyLayout } from './tiny.js';

/** What Docker prints of an image. */
export interface DockerImage {
	readonly Id: string;
	readonly Config: {
		readonly User: string;
		readonly Cmd: readonly string[];
		readonly Labels: Readonly<Record<string, string>>;
	};
	readonly RootFS: { readonly Layers: readonly string[] };
}

/** A Docker daemon of one test. */
export interface Docker {
	/** Makes docker below use the daemon. */
	readonly env: Readonly<Record<string, string>>;
	/** What the command prints; throws, with all it printed, when it fails. */
	readonly run: (...args: readonly string[]) => string;
	readonly inspect: (name: string) => DockerImage;
}

/** No network, no rules of a firewall, and nothing outside of the workspace. */
const OPTIONS = ['--iptables=false', '--bridge=none', '--storage-driver=vfs', '--group=0'];
const START_MS = 120_000;

/** A daemon whose store holds the tiny builder as `local-builder`. It is ended after the test. Skips the test without Docker. */
export async function startDocker(context: TestContext, workspace: Workspace): Promise<Docker> {
	requireRoot(context);
	requirePrograms(context, 'dockerd', 'docker', 'skopeo');
	const at = (name: string) => join(workspace.root, 'docker', name);
	mkdirSync(at('config'), { recursive: true });
	const env = { DOCKER_HOST: `unix://${at('sock')}`, DOCKER_CONFIG: at('config'), S2OCI_ENGINE: 'docker' };
	// Mounts that a daemon leaves behind end with its namespace.
	const log = openSync(at('log'), 'w');
	const places = [
		'--data-root',
		at('data'),
		'--exec-root',
		at('exec'),
		'--pidfile',
		at('pid'),
		'--host',
		env.DOCKER_HOST,
	];
	const daemon = spawn('unshare', ['--mount', 'dockerd', ...OPTIONS, ...places], { stdio: ['ignore', log, log] });
	closeSync(log);
	const ended = once(daemon, 'exit');
	onTestFinished(async () => {
		daemon.kill('SIGTERM');
		await ended;
	});
	const run = (...args: readonly string[]) =>
		execFileSync('docker', args, {
			encoding: 'utf8',
			env: { ...process.env, ...env },
			stdio: ['ignore', 'pipe', 'pipe'],
		}).trim();
	const isOver = () => daemon.exitCode !== null;
	await until('Docker answers', () => isOver() || answers(run), START_MS);
	if (isOver()) console.error(readFileSync(at('log'), 'utf8').split('\n').slice(-5).join('\n'));
	needs(context, !isOver(), 'no Docker daemon runs on this host');
	execFileSync('skopeo', [
		'copy',
		'--quiet',
		`oci:${tinyLayout()}:latest`,
		`docker-archive:${at('builder.tar')}:local-builder:latest`,
	]);
	run('load', '--quiet', '--input', at('builder.tar'));
	return { env, run, inspect: (name) => (JSON.parse(run('image', 'inspect', name)) as [DockerImage])[0] };
}

function answers(run: Docker['run']): boolean {
	try {
		return run('version', '--format', '{{.Server.Version}}') !== '';
	} catch {
		return false;
	}
}
