import { expect, test } from 'vitest';
import { isBuildError } from '../../src/errors.js';
import { parseJson } from '../../src/json.js';
import { digestOf } from '../../src/oci/digest.js';
import { parseConfig, parseManifest } from '../../src/oci/manifest.js';
import { OCI_CONFIG, OCI_MANIFEST } from '../../src/oci/media-types.js';
import { parseMetadata } from '../../src/s2i/metadata.js';

const lists = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;

test('JSON may be a hundred levels deep, whatever is in its strings', () => {
	expect(() => parseJson(lists(100))).not.toThrow();
	expect(() => parseJson(lists(101))).toThrow(SyntaxError);
	expect(() => parseJson(`${'{"a":'.repeat(101)}1${'}'.repeat(101)}`)).toThrow(SyntaxError);
	const text = `${'['.repeat(200)}\\"{`;
	expect(parseJson(JSON.stringify({ text, next: [text] }))).toEqual({ text, next: [text] });
	expect(parseJson(`[${'[],{},'.repeat(1000)}1]`)).toHaveLength(2001);
	for (const bad of ['"', '"\\', '[', ']', '{"a', '']) expect(() => parseJson(bad)).toThrow(SyntaxError);
});

test.each([
	['a manifest', (deep: string) => parseManifest(Buffer.from(`{"x":${deep}}`), {}, 'image')],
	['an index', (deep: string) => parseManifest(Buffer.from(`{"manifests":[],"x":${deep}}`), {}, 'image')],
	[
		'a config',
		(deep: string) => {
			const text = Buffer.from(`{"rootfs":{"type":"layers","diff_ids":[]},"history":[{"x":${deep}}]}`);
			const described = { digest: digestOf(text), size: text.length, mediaType: OCI_CONFIG };
			return parseConfig(text, { schemaVersion: 2, mediaType: OCI_MANIFEST, config: described, layers: [] }, 'image');
		},
	],
	['what assemble wrote', (deep: string) => parseMetadata(`{"labels":[],"x":${deep}}`)],
])('%s that is too deep is IMAGE_INVALID', (_what, read) => {
	for (const depth of [200, 50_000]) {
		try {
			read(lists(depth));
			expect.unreachable();
		} catch (error) {
			expect(isBuildError(error, 'IMAGE_INVALID')).toBe(true);
		}
	}
});
