import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** A directory that is removed after the test. */
export function emptyHome(): string {
	const path = mkdtempSync(join(tmpdir(), 's2oci-scripts-'));
	onTestFinished(() => rmSync(path, { recursive: true, force: true }));
	return path;
}

/**
 * Runs `command` in a shell that has the functions of the scripts, with `env` and an empty home as its environment. Resolves to what it
 * printed and its exit status.
 */
export function inScripts(
	command: string,
	env: Readonly<Record<string, string>> = {},
): Promise<{ readonly stdout: string; readonly stderr: string; readonly status: number }> {
	const home = env['HOME'] ?? emptyHome();
	const sources = ['packages', 'apt', 'npm', 'node'].map((name) => `. scripts/${name}.sh`).join('; ');
	const options = {
		cwd: ROOT,
		env: { PATH: '/usr/bin:/bin', HOME: home, S2OCI_TEST_CACHE: join(home, 'cache'), ...env },
	};
	return new Promise((resolve) => {
		execFile('/bin/sh', ['-euc', `${sources}; ${command}`, 'scripts'], options, (error, stdout, stderr) => {
			resolve({ stdout: stdout.trimEnd(), stderr, status: error === null ? 0 : Number(error.code) });
		});
	});
}
