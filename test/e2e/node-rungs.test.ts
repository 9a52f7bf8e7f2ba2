import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { agreement } from '../support/agreement.js';
import { type UserName } from '../support/host.js';
import { NODE_LIMIT_MS, nodeBuilder } from '../support/node-builder.js';
import { networkSettings, npmRegistry } from '../support/npm.js';
import { arrange, CHROOT, rungOf, type TestRung } from '../support/rung.js';
import { builtOn, identity } from '../support/same-image.js';

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

describe('the Node.js builder', () => {
	const seen = agreement('the image');
	const builder = nodeBuilder();
	const rungs: Readonly<Record<UserName, readonly TestRung[]>> = {
		root: [rungOf('root', 'runc'), rungOf('root', 'bwrap', 'copy'), CHROOT],
		's2oci-subuid': [rungOf('s2oci-subuid', 'crun'), rungOf('s2oci-subuid', 'runc', 'copy')],
		's2oci-plain': [rungOf('s2oci-plain', 'bwrap'), rungOf('s2oci-plain', 'bwrap', 'copy')],
	};
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
						...[at('testdata/apps/node-web'), builder(), '-n', 'web'],
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
