import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BuildResult } from '../../src/build/result.js';
import { build, type RunOptions } from '../support/build.js';
import { leftovers, removeTree, type UserName } from '../support/host.js';
import { networkSettings, npmRegistry } from '../support/npm.js';
import { startRegistry, type TestRegistry } from '../support/registry.js';
import { ALL_RUNGS, type Arranged, arrange, CHROOT, describeRung, rungOf, type TestRung } from '../support/rung.js';
import { publish, readLayout, TINY_APP, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const EPOCH = '1750000000';
const NODE_LIMIT_MS = 600_000;
const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
/** One name of builder and target for all builds, since names are in the labels. */
let registry: TestRegistry;
let images: string;
beforeAll(async () => {
	registry = await startRegistry();
	publish(registry, readLayout(tinyLayout()));
	images = mkdtempSync(join(tmpdir(), 's2oci-images-'));
	chmodSync(images, 0o755);
});
afterAll(async () => {
	await registry.close();
	removeTree(images);
});

/** What says whether two images are the same: all of it. */
function identity({ layer, digest, configDigest }: BuildResult): string {
	return [layer?.diffId, layer?.digest, configDigest, digest].join(' ');
}

async function builtOn(
	{ workspace, args, options }: Pick<Arranged, 'workspace' | 'args' | 'options'>,
	words: readonly string[],
	more: RunOptions = {},
): Promise<BuildResult> {
	const env = { SOURCE_DATE_EPOCH: EPOCH, ...more.env };
	const { result } = await build(workspace, [...words, '--copy', ...args], { ...options, ...more, env });
	expect(await leftovers(workspace)).toEqual([]);
	return result;
}

describe('the busybox builder', () => {
	const seen = new Set<string>();
	for (const rung of ALL_RUNGS) {
		test(`on ${describeRung(rung)} gives the image that it gives everywhere`, async (context) => {
			const words = [TINY_APP, `${registry.host}/builders/tiny`, `${registry.host}/team/app:1`];
			const result = await builtOn(arrange(rung, context), words);
			expect(result.rung).toMatchObject(rung.expected);
			seen.add(identity(result));
			expect([...seen]).toHaveLength(1);
		});
	}
});

describe('the Node.js builder', () => {
	const seen = new Set<string>();
	const rungs: Readonly<Record<UserName, readonly TestRung[]>> = {
		root: [rungOf('root', 'runc'), rungOf('root', 'bwrap', 'copy'), CHROOT],
		's2oci-subuid': [rungOf('s2oci-subuid', 'crun'), rungOf('s2oci-subuid', 'runc', 'copy')],
		's2oci-plain': [rungOf('s2oci-plain', 'bwrap'), rungOf('s2oci-plain', 'bwrap', 'copy')],
	};
	beforeAll(() => {
		execFileSync(at('scripts/make-builder'), ['--node', join(images, 'node')], {
			stdio: ['ignore', 'ignore', 'inherit'],
		});
	}, NODE_LIMIT_MS);

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
					expect([...seen]).toHaveLength(1);
				}
			},
			NODE_LIMIT_MS,
		);
	}
});
