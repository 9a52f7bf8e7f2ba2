import { expect, test } from 'vitest';
import { readContract } from '../../../src/s2i/contract.js';
import { resolveScripts, scriptMissing, scriptPaths } from '../../../src/s2i/scripts.js';

const label = 'io.openshift.s2i.scripts-url';
const contract = readContract({ Labels: { [label]: 'image:///usr/libexec/s2i/' } });
const bare = readContract({});

test('the places in the source are known in order of precedence', () => {
	expect(scriptPaths()).toEqual([
		'.s2i/bin/assemble',
		'.sti/bin/assemble',
		'.s2i/bin/run',
		'.sti/bin/run',
		'.s2i/bin/save-artifacts',
		'.sti/bin/save-artifacts',
	]);
});

test('each script is found on its own: the source wins over the image', () => {
	expect(resolveScripts(['.s2i/bin/assemble'], contract)).toEqual({
		assemble: { name: 'assemble', from: 'source', sourcePath: '.s2i/bin/assemble', path: '/tmp/scripts/assemble' },
		run: { name: 'run', from: 'image', path: '/usr/libexec/s2i/run' },
		saveArtifacts: { name: 'save-artifacts', from: 'image', path: '/usr/libexec/s2i/save-artifacts' },
		deprecations: [],
	});
});

test('.sti/bin still works behind .s2i/bin, with a deprecation', () => {
	const scripts = resolveScripts(['.s2i/bin/run', '.sti/bin/run', '.sti/bin/assemble'], bare);
	expect(scripts.run).toMatchObject({ sourcePath: '.s2i/bin/run' });
	expect(scripts.assemble).toMatchObject({ sourcePath: '.sti/bin/assemble', path: '/tmp/scripts/assemble' });
	expect(scripts.saveArtifacts).toBeUndefined();
	expect(scripts.deprecations).toEqual(['scripts in .sti/bin are deprecated; move them to .s2i/bin']);
});

test('a missing script says where it was looked for', () => {
	expect(() => resolveScripts(['.s2i/bin/assemble'], bare)).toThrow(
		expect.objectContaining({
			code: 'SCRIPT_MISSING',
			message: 'there is no run script: looked at .s2i/bin/run in the source, .sti/bin/run in the source',
		}) as Error,
	);
	expect(scriptMissing('assemble', contract).message).toContain('/usr/libexec/s2i/assemble in the builder image');
});

test('a scripts URL that is not image:// fails only when a script is needed from it', () => {
	const remote = readContract({ Labels: { [label]: 'https://ada:s3cret@example.org/s2i' } });
	expect(resolveScripts(['.s2i/bin/assemble', '.s2i/bin/run'], remote).run.from).toBe('source');
	expect(() => resolveScripts(['.s2i/bin/run'], remote)).toThrow(
		expect.objectContaining({
			code: 'SCRIPT_MISSING',
			message: expect.stringMatching(
				/^the assemble script is at "https:\/\/\[redacted\]@example\.org\/s2i", which is not an image:\/\/ URL/,
			) as string,
		}) as Error,
	);
});
