import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { detectEngine, readCiOutput } from '../../../src/cli/ci-engine.js';
import { jobFiles } from '../../../src/cli/ci-output.js';
import { digestOf } from '../../../src/oci/digest.js';
import type { BuildResult } from '../../../src/pipeline/result.js';
import { removeTree } from '../../support/fs.js';

const digest = digestOf(new Uint8Array());
const result: BuildResult = {
	success: true,
	name: 'reg.example:5000/team/app:1.2',
	digest,
	builder: { name: 'reg.example:5000/builders/node:22', digest },
	source: { location: 'https://example.org/app.git', commit: 'a'.repeat(40), message: '`|<b>' },
	layer: { digest, diffId: digest, size: 4_100_000, added: 12, changed: 3, deleted: 1 },
	bytes: { downloaded: 0, uploaded: 0, mounted: 0 },
	timings: [],
};
const isAsked = true;

describe('the engine of a job', () => {
	const none = '/no/such/directory';
	test.each([
		[{ GITHUB_ACTIONS: 'true', CI: 'true' }, 'github'],
		[{ GITLAB_CI: 'true', CI: 'true' }, 'gitlab'],
		[{ JENKINS_URL: 'https://ci.example/', BUILD_TAG: 'jenkins-app-1' }, 'jenkins'],
		[{ CI: 'true' }, undefined],
	])('of %j is %s', (env, engine) => {
		expect(detectEngine(env, none)).toBe(engine);
	});

	test('is Tekton where there is its directory of results', () => {
		const results = mkdtempSync(join(tmpdir(), 's2oci-results-'));
		onTestFinished(() => removeTree(results));
		expect(detectEngine({}, results)).toBe('tekton');
	});

	test('is told in its own files, or where the user says', () => {
		const env = {
			GITLAB_CI: 'true',
			CI_PROJECT_DIR: '/builds/app',
			GITHUB_OUTPUT: '/out',
			GITHUB_STEP_SUMMARY: '/sum',
		};
		const read = (engine: 'auto' | 'github' | 'jenkins' | 'tekton' | 'none', path?: string) =>
			readCiOutput({ engine, path }, env);
		expect(read('auto')).toEqual({ engine: 'gitlab', paths: ['/builds/app/s2oci.env'], isAsked: false });
		expect(read('auto', '/x')).toEqual({ engine: 'gitlab', paths: ['/x'], isAsked });
		expect(read('github')?.paths).toEqual(['/out', '/sum']);
		expect(read('tekton')?.paths).toEqual(['/tekton/results']);
		expect(read('none')).toBeUndefined();
	});
});

describe('the next step is told', () => {
	test('by GitHub, with a delimiter of its own for each value', () => {
		const [outputs, summary] = jobFiles({ engine: 'github', paths: ['/out', '/sum'], isAsked }, result);
		const values = /^image<<(s2oci_[0-9a-f]{32})\n(.*)\n\1\ndigest<<(s2oci_[0-9a-f]{32})\n(.*)\n\3\n$/.exec(
			outputs?.text ?? '',
		);
		expect([values?.[2], values?.[4]]).toEqual([`${result.name}@${digest}`, digest]);
		expect(values?.[1]).not.toBe(values?.[3]);
		expect(summary?.text).toContain(`| Image | <code>${result.name}@${digest}</code> |`);
		expect([outputs?.append, summary?.append]).toEqual([true, true]);
	});

	test('by GitHub, with no markup from outside in the summary', () => {
		const location = '</code>|<img src=x>\n# x `![y](https://evil.example)';
		const [, summary] = jobFiles(
			{ engine: 'github', paths: ['/out', '/sum'], isAsked },
			{ ...result, source: { location } },
		);
		expect(summary?.text).not.toMatch(/<img|^# x|!\[/m);
	});

	test('by GitLab, in two lines that dotenv has', () => {
		const [file] = jobFiles({ engine: 'gitlab', paths: ['/x.env'], isAsked }, { ...result, name: 'oci:/a\nb\n X=1' });
		expect(file).toEqual({ path: '/x.env', text: `IMAGE=oci:/a b X=1@${digest}\nDIGEST=${digest}\n`, append: false });
	});

	test('by Jenkins, as java.util.Properties reads it', () => {
		const [file] = jobFiles({ engine: 'jenkins', paths: ['/x'], isAsked }, { ...result, name: 'oci:/a\\b/ü' });
		expect(file?.text).toBe(`IMAGE=oci:/a\\\\b/\\u00fc@${digest}\nDIGEST=${digest}\n`);
	});

	test('by Tekton, with the hints of Chains', () => {
		const files = jobFiles({ engine: 'tekton', paths: ['/r'], isAsked }, result);
		expect(Object.fromEntries(files.map(({ path, text }) => [path, text]))).toEqual({
			'/r/IMAGE_URL': 'reg.example:5000/team/app',
			'/r/IMAGE_DIGEST': digest,
			'/r/CHAINS-GIT_URL': 'https://example.org/app.git',
			'/r/CHAINS-GIT_COMMIT': 'a'.repeat(40),
			'/r/BUILDER_ARTIFACT_INPUTS': JSON.stringify({ uri: 'reg.example:5000/builders/node', digest }),
		});
	});

	test('by Shipwright, with the size of the image, or why there is none', () => {
		const output = { engine: 'shipwright', paths: ['/r'], isAsked } as const;
		const texts = (ended: BuildResult) =>
			Object.fromEntries(jobFiles(output, ended).map(({ path, text }) => [path, text]));
		expect(texts({ ...result, size: 4_100_123 })).toEqual({
			'/r/shp-image-digest': digest,
			'/r/shp-image-size': '4100123',
		});
		const error = { code: 'ASSEMBLE_FAILED', message: 'assemble ended\nwith 3', hint: 'ü'.repeat(9000) };
		expect(texts({ ...result, success: false, error })).toEqual({
			'/r/shp-error-reason': 'AssembleFailed',
			'/r/shp-error-message': `assemble ended with 3 ${'ü'.repeat(978)}`,
		});
	});

	test('of a failure, by no other engine', () => {
		const failed = { ...result, success: false, error: { code: 'BUG', message: 'x' } };
		for (const engine of ['github', 'gitlab', 'tekton', 'jenkins'] as const) {
			expect(jobFiles({ engine, paths: ['/r', '/s'], isAsked }, failed)).toEqual([]);
		}
	});

	test('by Tekton, within 4096 bytes: what is too long is left out', () => {
		const builder = { name: `reg.example/${'x'.repeat(5000)}:1`, digest };
		const files = jobFiles({ engine: 'tekton', paths: ['/r'], isAsked }, { ...result, builder });
		expect(files.map(({ path }) => path)).toEqual(
			['IMAGE_URL', 'IMAGE_DIGEST', 'CHAINS-GIT_URL', 'CHAINS-GIT_COMMIT'].map((name) => `/r/${name}`),
		);
	});
});
