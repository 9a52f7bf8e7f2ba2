import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { s2oci } from '../support/build.js';
import { listDirectory } from '../support/host.js';
import { arrange, CHROOT, rungOf } from '../support/rung.js';
import { assembleSource, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const CANARIES = { build: 'CANARY-BUILD', file: 'CANARY-FILE', variable: 'CANARY-VARIABLE', proxy: 'CANARY-PROXY' };
const RUNGS = [rungOf('root', 'runc'), rungOf('root', 'crun'), rungOf('s2oci-plain', 'bwrap'), CHROOT];

for (const rung of RUNGS) {
	test.for(['test -n "$(cat /run/secrets/one /run/secrets/two)" -a -n "$HIDDEN"', 'exit 3'])(
		`the scratch directory that is kept of rung ${rung.number} with ${rung.expected.sandbox ?? ''} has no secret, after %s`,
		async (script, context) => {
			const { workspace, options, args } = arrange(rung, context);
			const secret = join(workspace.root, 'secret');
			writeFileSync(secret, CANARIES.file, { mode: 0o644 });
			const { status } = await s2oci(
				workspace,
				[
					...['build', assembleSource(script), `oci:${tinyLayout()}:latest`, '--copy', '--save-temp-dir', ...args],
					...['--build-env', `HIDDEN=${CANARIES.build}`, '--secret', `id=one,src=${secret}`],
					...['--secret', 'id=two,env=SECRET'],
				],
				{ ...options, env: { SECRET: CANARIES.variable, HTTP_PROXY: `http://u:${CANARIES.proxy}@127.0.0.1:1` } },
			);
			expect(status).toBe(script === 'exit 3' ? 1 : 0);
			const saved = join(workspace.store, 'saved');
			expect(listDirectory(saved)).toHaveLength(1);
			const found = execFileSync('sh', ['-c', 'grep -rlaE "$1" "$2" || true', 'sh', 'CANARY-[A-Z]', saved]).toString();
			expect(found).toBe('');
		},
	);
}
