import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { freePort } from './free-port.js';

/** A repository with all files of `source` as its one commit, behind git's own server, which ends after the test. */
export async function serveGit(source: string): Promise<{ readonly url: string; readonly commit: string }> {
	const git = (...args: readonly string[]) => execFileSync('git', ['-C', source, ...args], { encoding: 'utf8' }).trim();
	git('init', '--quiet', '--initial-branch=main');
	git('add', '--all');
	git('-c', 'user.name=ada', '-c', 'user.email=ada@example.org', 'commit', '--quiet', '--message=Begin');
	const port = await freePort();
	const words = [
		'daemon',
		'--export-all',
		'--listen=127.0.0.1',
		`--port=${port}`,
		`--base-path=${dirname(source)}`,
		source,
	];
	const server = spawn('git', words, { stdio: 'ignore' });
	onTestFinished(async () => {
		const exited = once(server, 'exit');
		server.kill();
		await exited;
	});
	const url = `git://127.0.0.1:${port}${source.slice(dirname(source).length)}`;
	await untilServed(`${url}/.git`);
	return { url: `${url}/.git`, commit: git('rev-parse', 'HEAD') };
}

async function untilServed(url: string): Promise<void> {
	for (let attempt = 0; ; attempt += 1) {
		try {
			execFileSync('git', ['ls-remote', url], { stdio: 'ignore' });
			return;
		} catch (error) {
			if (attempt > 50) throw error;
			await delay(100);
		}
	}
}
