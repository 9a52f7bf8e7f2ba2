import { beforeEach, describe, expect, test } from 'vitest';
import { requirePrograms, requireRoot } from '../support/host.js';
import { elsewhere, openScene } from '../support/live-scene.js';
import { assembleSource, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const IN_PLACE = ['--rootfs', 'in-place', '--isolation', 'none'];

beforeEach((context) => {
	requireRoot(context);
	requirePrograms(context, 'umoci', 'unshare', 'chroot', 'ldd');
});

describe('a build in place', () => {
	test.each([
		['not ASCII', 'då/größe'],
		['not UTF-8', String.raw`b\377/\376`],
		['blanks, a line end and a backslash', String.raw`a b\tc\nd\\040e`],
	])('has nothing of a mount in the layer whose name is %s', async (_what, name) => {
		const scene = await openScene();
		const volumes = `$ROOT/data/$(printf '${name}')`;
		const inside = `/data/$(printf '${name}')`;
		const source = assembleSource(
			`cp /tmp/src/greeting.txt .\nfor each in "${inside}" "${inside}-bound"; do [ ! -e "$each" ] || echo x > "$each/file"; done`,
		);
		const expected = await elsewhere(scene, source);
		const { stderr, result } = await scene.build(source, IN_PLACE, {
			setup: `mkdir -p "${volumes}" "${volumes}-bound" "$ROOT/tmp/real"; mount -t tmpfs -o mode=1777 none "${volumes}"
mount -t tmpfs -o mode=1777 none "$ROOT/tmp/real"; mount --bind "$ROOT/tmp/real" "${volumes}-bound"`,
		});
		expect(result?.error, stderr).toBeUndefined();
		expect(`${String(result?.layer?.diffId)} ${String(result?.digest)}`).toBe(expected);
	});
});
