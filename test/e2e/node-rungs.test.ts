import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agreement } from '../support/agreement.js';
import { removeTree } from '../support/fs.js';
import { type UserName } from '../support/host.js';
import { networkSettings, npmRegistry } from '../support/npm.js';
import { arrange, CHROOT, rungOf, type TestRung } from '../support/rung.js';
import { builtOn, identity } from '../support/same-image.js';

const NODE_LIMIT_MS = 600_000;
const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
let images: string;

describe('the Node.js builder', () => {
	const seen = agreement('the image');
	const rungs: Readonly<Record<UserName, readonly TestRung[]>> = {
		root: [rungOf('root', 'runc'), rungOf('root', 'bwrap', 'copy'), CHROOT],
		's2oci-subuid': [rungOf('s2oci-subuid', 'crun'), rungOf('s2oci-subuid', 'runc', 'copy')],
		's2oci-plain': [rungOf('s2oci-plain', 'bwrap'), rungOf('s2oci-plain', 'bwrap', 'copy')],
	};
	beforeAll(() => {
		images = mkdtempSync(join(tmpdir(), 's2oci-images-'));
		chmodSync(images, 0o755);
		execFileSync(at('scripts/make-builder'), ['--node', join(images, 'node')], {
			stdio: ['ignore', 'ignore', 'inherit'],
		});
	}, NODE_LIMIT_MS);
	afterAll(() => removeTree(images));

	for (const [name, each] of Object.entries(rungs)) {
		test(
			`built by ${name} gives the image that it gives everywhere`,
			async (context) => {
				const [first] = each;
				if (first === undefined) return;
				const { workspace } = arrange(first, context);
				for (const rung of each) {
					const { args, options } = { ...arrange(rung, context) };
					const npm = npmRegistry();
					const words = [
						...[at('testdata/apps/node-web'), `oci:${images}/node:latest`, '-n', 'web'],
						...(npm === undefined ? [] : ['-e', `npm_config_registry=${npm}`]),
					];
					const result = await builtOn({ workspace, args, options }, words, {
						env: networkSettings(),
						limitMs: 300_000,
					});
					expect(result.rung).toMatchObject(rung.expected);
					seen.add(identity(result));
				}
			},
			NODE_LIMIT_MS,
		);
	}
	seen.isTested();
});
