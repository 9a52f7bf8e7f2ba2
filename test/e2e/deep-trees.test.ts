import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { agreement } from '../support/agreement.js';
import { build } from '../support/build.js';
import { removeTree } from '../support/fs.js';
import { leftovers, makeWorkspace, requirePrograms } from '../support/host.js';
import { publishImage } from '../support/layers.js';
import { startRegistry, type TestRegistry } from '../support/registry.js';
import { arrange, describeRung, EACH_RUNG } from '../support/rung.js';
import { tarDirectory } from '../support/tar.js';
import { assembleSource, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const env = { SOURCE_DATE_EPOCH: '1750000000' };
const deep = (name: string, times: number) => {
	const path = `/deep/${`${name}/`.repeat(times)}`;
	return `mkdir -p ${path}; echo x > ${path}file`;
};
/** Many short names, and few long ones: a directory tree as deep, and a path as long, as will be. */
const trees = (depth: number) => `${deep('d', depth)}; ${deep('n'.repeat(200), 18)}`;

let registry: TestRegistry;
beforeAll(async () => void (registry = await startRegistry()));
afterAll(() => registry.close());

function builder(): string {
	return publishImage(registry, 'deep', { files: [tarDirectory('deep', { uid: 1001 })] });
}

describe('trees that assemble made deep', () => {
	const [made, changed] = [agreement('the deep layer'), agreement('the layer upon it')];

	for (const rung of EACH_RUNG) {
		test(`are in the image, which can be a builder, on ${describeRung(rung)}`, async (context) => {
			const { workspace, args, options } = arrange(rung, context);
			const run = (script: string, base: string, to: string) =>
				build(workspace, [assembleSource(script), base, `${registry.host}/${to}`, ...args], { ...options, env });
			const first = await run(trees(1500), builder(), 'team/deep:1');
			made.add(String(first.result.layer?.diffId));
			const script = `test "$(find /deep -type f | wc -l)" = 2; rm -r /deep/${'n'.repeat(200)}; ${deep('e', 300)}`;
			const second = await run(script, `${registry.host}/team/deep:1`, 'team/deep:2');
			changed.add(String(second.result.layer?.diffId));
			expect(second.result.layer).toMatchObject({ added: 301, deleted: 1 });
			expect(await leftovers(workspace)).toEqual([]);
		});
	}
	made.isTested();
	changed.isTested();

	test('are unpacked by umoci', async (context) => {
		requirePrograms(context, 'umoci');
		const directory = mkdtempSync(join(tmpdir(), 's2oci-deep-'));
		onTestFinished(() => removeTree(directory));
		const layout = `oci:${join(directory, 'image')}:latest`;
		await build(makeWorkspace(), [assembleSource(trees(400)), builder(), '--output', layout], { env });
		const bundle = join(directory, 'bundle');
		const rootless = process.getuid?.() === 0 ? [] : ['--rootless'];
		const image = `${join(directory, 'image')}:latest`;
		execFileSync('umoci', ['unpack', ...rootless, '--image', image, bundle], { stdio: 'ignore' });
		const found = execFileSync('find', [join(bundle, 'rootfs/deep'), '-type', 'f']).toString();
		expect(found.trim().split('\n')).toHaveLength(2);
	});
});
