import { chmodSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isBuildError } from '../../../src/errors.js';
import { loadLibc } from '../../../src/linux/libc.js';
import { rawPath } from '../../../src/root-path.js';
import type { ArtifactOptions } from '../../../src/rootfs/artifacts.js';
import { packArtifacts } from '../../../src/rootfs/pack-artifacts.js';
import { cutAt, type TarMember, tarDirectory, tarFile, tarHardLink, tarOf, tarSymlink } from '../../support/tar.js';
import { scene } from './artifact-scene.js';

const signal = new AbortController().signal;
const of = (...members: readonly TarMember[]): Buffer => tarOf(members);

describe('a stream that is no archive', () => {
	const problem = async (stream: Readable | Buffer, more?: Partial<ArtifactOptions>): Promise<string> => {
		using here = scene();
		return await here.extract(stream, more).then(
			() => 'none',
			(error: unknown) => (isBuildError(error) ? `${error.code} ${error.message}` : 'a bug'),
		);
	};

	test.each([
		['text alone', Buffer.from('Saving artifacts...\n')],
		['text before the archive', Buffer.concat([Buffer.from('Saving artifacts...\n'), of(tarFile('a', 'x'))])],
	])('has %s: the message quotes it', async (_what, stream) => {
		expect(await problem(stream)).toBe(
			'LAYER_INVALID the artifacts cannot be used: they begin with text: "Saving artifacts..."',
		);
	});

	test('says where text broke it', async () => {
		const [before, after] = [tarOf([tarFile('a', 'x')], false), of(tarFile('b'))];
		expect(await problem(Buffer.concat([before, Buffer.from('warning\n'), after]))).toMatch(/after 1 entries, /);
	});

	test('keeps artifacts that text follows, and tells of the text', async () => {
		using here = scene();
		const stream = Buffer.concat([of(tarFile('a', 'x')), Buffer.from('Done.\nBye\n')]);
		const result = await here.extract(stream);
		expect(result).toEqual({ entries: 1, bytes: 1, notices: ['it also printed text after the archive: "Done."'] });
	});

	test.each([100, 600, 1200])('is refused when it is cut short after %i bytes', async (size) => {
		const whole = of(tarFile('a', Buffer.alloc(2000, 'x')));
		expect(await problem(whole.subarray(0, size))).toMatch(/^LAYER_INVALID the artifacts cannot be used/);
	});

	test('is refused when its gzip is damaged', async () => {
		const zipped = gzipSync(of(tarFile('a', Buffer.alloc(5000, 'x'))));
		expect(await problem(zipped.subarray(0, zipped.length - 12))).toMatch(/^LAYER_INVALID the artifacts/);
	});

	test('is refused when it never ends', async () => {
		function* zeros() {
			for (;;) yield Buffer.alloc(1 << 20);
		}
		expect(await problem(Readable.from(zeros()))).toContain('they never end');
	});

	test('is refused when it has too many entries', async () => {
		function* files() {
			const block = tarOf([tarFile('a')], false);
			for (;;) yield block;
		}
		expect(await problem(Readable.from(files()), { maxEntries: 100 })).toContain('more than 100 entries');
	});

	test('is refused when it falls silent', async () => {
		const stream = new PassThrough();
		stream.write(tarOf([tarFile('a', 'x')], false));
		expect(await problem(stream, { idleMs: 50 })).toContain('nothing came for 0.05 s');
	});

	test('means the same however it is cut', async () => {
		const stream = of(tarFile('a', 'x'), tarSymlink('l', 'a'), tarFile('b', Buffer.alloc(700, 'y')));
		await fc.assert(
			fc.asyncProperty(fc.array(fc.nat(stream.length), { maxLength: 6 }), async (cuts) => {
				using here = scene();
				const result = await here.extract(Readable.from(cutAt(stream, cuts)));
				expect(result).toEqual({ entries: 3, bytes: 701, notices: [] });
			}),
			{ numRuns: 50 },
		);
	});
});

describe('packed artifacts', () => {
	const packed = async (members: readonly TarMember[]): Promise<Buffer> => {
		using here = scene();
		const libc = await loadLibc();
		if (libc === undefined) throw new Error('koffi has no binary for this platform');
		await here.extract(tarOf(members));
		const output = join(here.path, 'packed');
		const { digest, size } = await packArtifacts(rawPath(here.root), output, libc, signal);
		const bytes = readFileSync(output);
		expect([digest, size]).toEqual([expect.stringMatching(/^sha256:/), bytes.length]);
		return bytes;
	};
	const members = [
		tarDirectory('m', { mtime: 100 }),
		tarFile('m/z', 'content', { mtime: 200, mode: 0o600 }),
		tarHardLink('m/a', 'm/z'),
		tarSymlink('l', '/abs', { mtime: 300 }),
	];

	test('are the same bytes whatever the order of the entries and their owners', async () => {
		const one = await packed(members);
		const [directory, file, link, symlink] = members as [TarMember, TarMember, TarMember, TarMember];
		const other = [{ ...symlink, uid: 9 }, directory, { ...file, name: 'm/a' }, { ...link, name: 'm/z', link: 'm/a' }];
		expect((await packed(other)).equals(one)).toBe(true);
	});

	test('give the same artifacts again', async () => {
		const bytes = await packed(members);
		using here = scene();
		expect(await here.extract(gunzipSync(bytes))).toMatchObject({ entries: 4, bytes: 7 });
		expect(statSync(here.at('m/a'))).toMatchObject({ nlink: 2, mtimeMs: 200_000 });
		chmodSync(here.at('m'), 0o755);
		expect((await packed(members)).equals(bytes)).toBe(true);
	});
});
