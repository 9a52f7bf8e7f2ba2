import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { removeTree } from './fs.js';

/** How long a test may take that has to make the Debian builder itself, on a slow machine. */
export const NODE_LIMIT_MS = 1_200_000;

/** The location of the Node.js builder, which is made when the first test that can run asks for it and removed after the last. */
export function nodeBuilder(): () => string {
	let directory: string | undefined;
	afterAll(() => {
		if (directory !== undefined) removeTree(directory);
	});
	return () => {
		if (directory === undefined) {
			directory = mkdtempSync(join(tmpdir(), 's2oci-node-'));
			chmodSync(directory, 0o755);
			const program = fileURLToPath(new URL('../../scripts/make-builder', import.meta.url));
			execFileSync(program, ['--node', join(directory, 'node')], { stdio: ['ignore', 'ignore', 'inherit'] });
		}
		return `oci:${directory}/node:latest`;
	};
}
