import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { removeTree } from './fs.js';
import { podmanRun } from './podman.js';

const execute = promisify(execFile);

/** Options of podman for a user whom nobody knows, in a job that is allowed nothing. */
export const RESTRICTED: readonly string[] = [
	...['--security-opt', 'no-new-privileges', '--cap-drop', 'ALL', '--user', '1000660000:0'],
];

/** A job whose image is a builder image. */
export interface BuilderContainer {
	/** The directory that it sees as /vol. */
	readonly volume: string;
	/** What `shell`, run by the builder image's own /bin/sh, prints. */
	readonly run: (shell: string, options?: readonly string[]) => Promise<string>;
}

/** A container that runs the builder in `layout`, on an overlay, with an empty volume at /vol and `source`; removed after the test. */
export function openBuilderContainer(layout: string, source: string): BuilderContainer {
	const own = mkdtempSync(join(tmpdir(), 's2oci-podman-'));
	onTestFinished(() => removeTree(own));
	execFileSync('umoci', ['raw', 'unpack', '--image', `${layout}:latest`, join(own, 'fs')], { stdio: 'ignore' });
	const volume = join(own, 'vol');
	mkdirSync(volume);
	chmodSync(volume, 0o777);
	chmodSync(own, 0o755);
	const run: BuilderContainer['run'] = async (shell, options = RESTRICTED) => {
		const [podman = '', ...words] = podmanRun(own);
		const { stdout } = await execute(podman, [
			...words,
			...['--volume', `${volume}:/vol`, '--volume', `${source}:${source}:ro`, ...options],
			...['--env', 'SOURCE_DATE_EPOCH=1750000000', '--env', 'HOME=/opt/app-root/src'],
			...['--rootfs', `${join(own, 'fs')}:O`, '/bin/sh', '-c', shell],
		]);
		return stdout;
	};
	return { volume, run };
}
