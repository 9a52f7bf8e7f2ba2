import { appendFileSync, cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PROGRAM } from './build.js';
import type { Workspace } from './host.js';

/** A copy of the program whose worker also runs `code`. */
export function withWorkerCode(workspace: Workspace, code: string): string {
	const [from, to] = [dirname(dirname(PROGRAM)), join(workspace.root, 'program')];
	mkdirSync(to);
	for (const name of ['bin', 'dist', 'package.json']) cpSync(join(from, name), join(to, name), { recursive: true });
	symlinkSync(join(from, 'node_modules'), join(to, 'node_modules'));
	appendFileSync(join(to, 'dist/worker/main.js'), code);
	return join(to, 'bin/s2oci.js');
}
