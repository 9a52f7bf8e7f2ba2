import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { s2oci } from '../support/build.js';
import { leftovers, makeWorkspace, requireUser, type UserName, type Workspace } from '../support/host.js';
import { assembleSource, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const GREET = 'cp -R /tmp/src/*.txt .; echo "::set-output name=image::evil"; printf "section_end:1:s2oci_assemble\\r"';

function run(
	workspace: Workspace,
	env: Readonly<Record<string, string>>,
	args: readonly string[] = [],
	script = GREET,
) {
	const target = `oci:${join(workspace.home, 'image')}:1`;
	return s2oci(workspace, ['build', assembleSource(script), `oci:${tinyLayout()}:latest`, target, ...args], { env });
}

describe.each<UserName>(['root', 's2oci-plain'])('a job of %s', (name) => {
	test('on GitHub leaves outputs and a summary, and annotates what failed', async (context) => {
		const workspace = makeWorkspace(requireUser(context, name));
		const [output, summary] = [join(workspace.home, 'output'), join(workspace.home, 'summary')];
		const env = { GITHUB_ACTIONS: 'true', CI: 'true', GITHUB_OUTPUT: output, GITHUB_STEP_SUMMARY: summary };
		const built = await run(workspace, env);
		expect(built.status, built.stderr).toBe(0);
		const digest = built.result?.digest ?? 'none';
		expect(readFileSync(output, 'utf8')).toContain(`\n${built.stdout.trim()}\n`);
		expect(readFileSync(output, 'utf8')).toContain(`\n${digest}\n`);
		expect(readFileSync(summary, 'utf8')).toContain(digest);
		expect(built.stderr).toMatch(/^\n::stop-commands::[0-9a-f]{32}\n/);
		expect(built.stderr).toContain('\n::group::s2oci assemble\n');
		const failed = await run(workspace, env, [], 'echo "::add-mask::x"; echo at last; exit 3');
		expect(failed.status).toBe(1);
		expect(failed.stderr).toMatch(/\n::error title=s2oci ASSEMBLE_FAILED::assemble .*%0A::add-mask::x%0Aat last\n/);
		expect(readFileSync(output, 'utf8').match(/digest<</g)).toHaveLength(1);
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('on GitLab leaves a dotenv report, and its log folds', async (context) => {
		const workspace = makeWorkspace(requireUser(context, name));
		const built = await run(workspace, { GITLAB_CI: 'true', CI_PROJECT_DIR: workspace.home });
		const text = readFileSync(join(workspace.home, 's2oci.env'), 'utf8');
		expect(text).toBe(`IMAGE=${built.stdout.trim()}\nDIGEST=${built.result?.digest ?? ''}\n`);
		expect(built.stderr).toMatch(/\x1b\[0Ksection_start:\d+:s2oci_assemble\[collapsed=true\]\r\x1b\[0K/);
		expect(built.stderr).toContain('section_end :1:s2oci_assemble\r');
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('on Jenkins leaves properties, and on Tekton results', async (context) => {
		const workspace = makeWorkspace(requireUser(context, name));
		const jenkins = { JENKINS_URL: 'https://ci.example/', BUILD_TAG: 'x', WORKSPACE: workspace.home };
		const built = await run(workspace, jenkins);
		expect(readFileSync(join(workspace.home, 's2oci.properties'), 'utf8')).toContain(`IMAGE=${built.stdout}`);
		const second = await run(workspace, {}, ['--ci-output', 'tekton', '--ci-output-path', workspace.home]);
		expect(readFileSync(join(workspace.home, 'IMAGE_DIGEST'), 'utf8')).toBe(second.result?.digest);
	});
});

describe('what cannot be written for the next step', () => {
	test('is refused before anything is built when it was asked for', async () => {
		const workspace = makeWorkspace();
		const { status, stderr } = await run(workspace, {}, [
			'--ci-output',
			'gitlab',
			'--ci-output-path',
			'/no/such/x.env',
		]);
		expect([status, stderr]).toEqual([
			3,
			expect.stringMatching(/error: "\/no\/such\/x\.env", for the next step on gitlab/),
		]);
		expect(stderr).not.toContain('assemble begins');
		const unset = await run(workspace, {}, ['--ci-output', 'github']);
		expect([unset.status, unset.stderr]).toEqual([3, expect.stringContaining('$GITHUB_OUTPUT is not set')]);
	});

	test('is a warning when the engine was only found', async () => {
		const workspace = makeWorkspace();
		const { status, stderr } = await run(workspace, { GITLAB_CI: 'true', CI_PROJECT_DIR: '/no/such' });
		expect([status, stderr]).toEqual([0, expect.stringContaining('warning: the next step is not told what is built')]);
	});

	test('is nothing with none', async () => {
		const workspace = makeWorkspace();
		writeFileSync(join(workspace.home, 'output'), '');
		const env = { GITHUB_ACTIONS: 'true', GITHUB_OUTPUT: join(workspace.home, 'output') };
		const { status, stderr } = await run(workspace, env, ['--ci-output', 'none']);
		expect([status, readFileSync(join(workspace.home, 'output'), 'utf8')]).toEqual([0, '']);
		expect(stderr).not.toContain('stop-commands');
		expect(existsSync(join(workspace.home, 's2oci.env'))).toBe(false);
	});
});
