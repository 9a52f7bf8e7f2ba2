import { expect, test } from 'vitest';
import { build, s2oci } from '../support/build.js';
import { listenForCallback as listen } from '../support/callback.js';
import { makeWorkspace } from '../support/host.js';
import { assembleSource, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const builder = () => `oci:${tinyLayout()}:latest`;

test('a callback is told of success, with the labels of the image', async () => {
	const { url, bodies } = await listen(204);
	const args = [assembleSource('true'), builder(), '--callback-url', url, '--loglevel', '5'];
	const { stderr } = await build(makeWorkspace(), args);
	expect(bodies).toHaveLength(1);
	expect(bodies[0]?.success).toBe(true);
	expect(Object.keys(bodies[0]?.labels ?? {})).toContain('io.openshift.s2i.build.source-location');
	expect(stderr).not.toContain('s3cret');
});

test('a callback is told of failures, whose exit status stays', async () => {
	const { url, bodies } = await listen(204);
	const failed = await s2oci(makeWorkspace(), ['build', assembleSource('exit 7'), builder(), '--callback-url', url]);
	expect([failed.status, failed.result?.error?.code]).toEqual([1, 'ASSEMBLE_FAILED']);
	expect(bodies).toEqual([{ success: false }]);
});

test('--callback-format sti sends what the build printed, or its error', async () => {
	const { url, bodies } = await listen(200);
	const options = ['--callback-url', url, '--callback-format', 'sti'];
	await build(makeWorkspace(), [assembleSource('echo canary'), builder(), ...options]);
	await s2oci(makeWorkspace(), ['build', assembleSource('exit 7'), builder(), ...options]);
	expect(bodies.map(({ success }) => success)).toEqual([true, false]);
	expect(bodies[0]?.payload).toContain('canary');
	expect(bodies[1]?.payload).toContain('ended with status 7');
});

test.each([500, 302])('a callback that answers with %i is a warning, and the build succeeds', async (status) => {
	const { url, bodies } = await listen(status);
	const { stderr } = await build(makeWorkspace(), [assembleSource('true'), builder(), '--callback-url', url]);
	expect(bodies).toHaveLength(1);
	expect(stderr).toMatch(/warning: the callback to http:\/\/127\.0\.0\.1:\d+ was answered with status \d+/);
	expect(stderr).not.toContain('s3cret');
});

test('a callback that cannot be reached is a warning, and the build succeeds', async () => {
	const args = [assembleSource('true'), builder(), '--callback-url', 'http://127.0.0.1:1/s3cret'];
	const { stderr } = await build(makeWorkspace(), args);
	expect(stderr).toMatch(/warning: the callback to http:\/\/127\.0\.0\.1:1 failed: .*ECONNREFUSED/);
	expect(stderr).not.toContain('s3cret');
});
