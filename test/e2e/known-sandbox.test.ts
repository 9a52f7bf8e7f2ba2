import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { build, s2oci } from '../support/build.js';
import {
	findProgram,
	listDirectory,
	makeWorkspace,
	requirePrograms,
	requireRoot,
	type Workspace,
} from '../support/host.js';
import { TINY_APP, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

/** A bwrap that counts its runs, and refuses them while there is a file. */
function watchedBwrap(workspace: Workspace) {
	const programs = join(workspace.root, 'programs');
	const program = join(programs, 'bwrap');
	// Where the worker sees and writes the host's files.
	const [log, refusing] = [join(workspace.store, 'log'), join(workspace.store, 'refusing')];
	for (const directory of [programs, workspace.store]) mkdirSync(directory, { mode: 0o700, recursive: true });
	const script = `#!/bin/sh\necho run >>${log}\n[ ! -e ${refusing} ] || exit 1\nexec ${String(findProgram('bwrap'))} "$@"\n`;
	writeFileSync(program, script, { mode: 0o755 });
	writeFileSync(log, '');
	const words = [TINY_APP, `oci:${tinyLayout()}:latest`, '--copy', '--isolation', 'bwrap'];
	const env = { PATH: `${programs}:${process.env['PATH'] ?? ''}` };
	return {
		refusing,
		change: () => appendFileSync(program, '# another one\n'),
		/** How often it ran since the last call. */
		runs: () => {
			const count = readFileSync(log, 'utf8').split('\n').length - 1;
			writeFileSync(log, '');
			return count;
		},
		build: () => build(workspace, words, { env }),
		attempt: () => s2oci(workspace, ['build', ...words], { env }),
	};
}

test('a sandbox in which a program ran is not tried again before each build', async (context) => {
	requireRoot(context);
	requirePrograms(context, 'bwrap');
	const workspace = makeWorkspace();
	const bwrap = watchedBwrap(workspace);
	const first = await bwrap.build();
	expect(bwrap.runs()).toBe(2);
	const second = await bwrap.build();
	expect(bwrap.runs()).toBe(1);
	expect(second.result.rung).toEqual(first.result.rung);
	expect(second.result.digest).toBe(first.result.digest);
	bwrap.change();
	await bwrap.build();
	expect(bwrap.runs()).toBe(2);
});

test('a sandbox that is refused after all is forgotten', async (context) => {
	requireRoot(context);
	requirePrograms(context, 'bwrap');
	const workspace = makeWorkspace();
	const bwrap = watchedBwrap(workspace);
	await bwrap.build();
	writeFileSync(bwrap.refusing, '');
	const refused = await bwrap.attempt();
	expect(refused.result?.error).toMatchObject({ code: 'HOST_NO_SANDBOX' });
	expect(listDirectory(join(workspace.store, 'sandboxes'))).toEqual([]);
	rmSync(bwrap.refusing);
	bwrap.runs();
	await bwrap.build();
	expect(bwrap.runs()).toBe(2);
	expect(existsSync(join(workspace.store, 'sandboxes'))).toBe(true);
});
