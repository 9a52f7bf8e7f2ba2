import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { build, startS2oci } from '../support/build.js';
import { decoded } from '../support/built.js';
import { leftovers, makeWorkspace, requirePrograms, requireUser, until } from '../support/host.js';
import { networkSettings, npmRegistry } from '../support/npm.js';
import { readLayout } from '../support/tiny.js';

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

test('the Node.js builder builds the sample application, which runs and shows its page', async (context) => {
	requirePrograms(context, 'curl');
	const workspace = makeWorkspace(requireUser(context, 's2oci-subuid'));
	const builder = join(workspace.root, 'builder');
	execFileSync(at('scripts/make-builder'), ['--node', builder], { stdio: ['ignore', 'ignore', 'inherit'] });
	const image = `oci:${workspace.root}/image:1`;
	const registry = npmRegistry();
	const environment = registry === undefined ? [] : ['-e', `npm_config_registry=${registry}`];
	const options = { limitMs: 350_000, env: networkSettings() };
	await build(
		workspace,
		[at('testdata/apps/node-web'), `oci:${builder}:latest`, image, '--copy', ...environment],
		options,
	);
	const { entries, config } = await decoded(readLayout(join(workspace.root, 'image')));
	expect(config.config.Cmd).toEqual(['/usr/libexec/s2i/run']);
	expect(entries.has('opt/app-root/src/node_modules/express/package.json')).toBe(true);
	expect([...entries.keys()].filter((name) => /^(tmp|root|var|etc)\//.test(name))).toEqual([]);

	const port = String(20_000 + (process.pid % 10_000));
	const running = startS2oci(workspace, ['run', image, '-e', `PORT=${port}`]);
	const page = () => {
		try {
			return execFileSync('curl', ['-sf', '--noproxy', '*', `http://127.0.0.1:${port}/`], { encoding: 'utf8' });
		} catch {
			return '';
		}
	};
	await until('the page', () => page().includes('<html'), 20_000);
	running.child.kill('SIGINT');
	expect((await running.finished).status).toBe(130);
	expect(await leftovers(workspace)).toEqual([]);
	expect(existsSync(join(workspace.root, 'image'))).toBe(true);
});
