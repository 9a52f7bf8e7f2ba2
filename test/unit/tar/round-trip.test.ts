import { pipeline } from 'node:stream/promises';
import fc from 'fast-check';
import { extract, pack } from 'tar-stream';
import { describe, expect, test } from 'vitest';
import { createTarReader } from '../../../src/tar/reader.js';
import { writeHeader } from '../../../src/tar/writer.js';
import { cutAt } from '../../support/tar.js';
import { anyMember, readTar, tarEntry, writeTar } from './entries.js';

const members = fc.array(anyMember, { maxLength: 5 });

describe('the tar codec', () => {
	test('reads back every entry as it was written', () => {
		fc.assert(
			fc.property(members, (written) => {
				expect(readTar([writeTar(written)])).toEqual(written);
			}),
			{ numRuns: 250 },
		);
	});

	test('reads the same entries however the stream is cut', () => {
		fc.assert(
			fc.property(members, fc.array(fc.nat(6000), { maxLength: 12 }), (written, cuts) => {
				expect(readTar(cutAt(writeTar(written), cuts))).toEqual(written);
			}),
			{ numRuns: 200 },
		);
	});

	test('reads a stream that comes byte by byte', () => {
		const written = [{ entry: tarEntry({ path: `long/${'x'.repeat(200)}`, size: 5 }), body: Buffer.from('hello') }];
		const bytes = writeTar(written);
		expect(readTar(Array.from(bytes, (byte) => Buffer.from([byte])))).toEqual(written);
	});

	test('writes equal entries as equal bytes, whatever the order of their xattrs', () => {
		const one = new Map([
			['user.a', Buffer.from('1')],
			['user.b', Buffer.from([0, 10, 61, 255])],
		]);
		const other = new Map([...one].reverse());
		expect(writeHeader(tarEntry({ path: 'a', xattrs: other }))).toEqual(
			writeHeader(tarEntry({ path: 'a', xattrs: one })),
		);
	});

	test.each([
		['a plain file', tarEntry({ path: 'a'.repeat(100) }), 512],
		['a long name', tarEntry({ path: 'a'.repeat(101) }), 512 * 3],
		['the largest octal id', tarEntry({ path: 'a', uid: 0o7777777 }), 512],
		['a larger id', tarEntry({ path: 'a', uid: 0o10000000 }), 512 * 3],
		['a size that needs a record', tarEntry({ path: 'a', size: 2 ** 33 }), 512 * 3],
		['a time before 1970', tarEntry({ path: 'a', mtime: -1 }), 512 * 3],
	])('uses a pax header only where it must: %s', (_what, entry, size) => {
		expect(writeHeader(entry)).toHaveLength(size);
	});

	test('says how large a file of 8 GiB is', () => {
		const sizes: number[] = [];
		const visitor = { data: () => undefined, close: () => undefined };
		createTarReader({ ...visitor, entry: ({ size }) => void sizes.push(size) }).write(
			writeHeader(tarEntry({ path: 'big', size: 2 ** 33 })),
		);
		expect(sizes).toEqual([2 ** 33]);
	});
});

describe('tar-stream, as an oracle', () => {
	const plain = [
		{ name: 'bin/', type: 'directory', mode: 0o755, size: 0, body: '' },
		{ name: 'bin/run', type: 'file', mode: 0o755, size: 9, body: '#!/bin/sh' },
		{ name: 'bin/link', type: 'symlink', mode: 0o777, size: 0, body: '', linkname: 'run' },
		{ name: 'bin/same', type: 'link', mode: 0o755, size: 0, body: '', linkname: 'bin/run' },
		{ name: `${'deep/'.repeat(30)}file`, type: 'file', mode: 0o600, size: 4, body: 'deep' },
		{ name: 'häß/ü', type: 'file', mode: 0o644, size: 1, body: 'u' },
	] as const;
	const common = { uid: 1001, gid: 50, mtime: new Date(1_700_000_000_000) };
	const latin1 = (text: string) => Buffer.from(text).toString('latin1');

	test('writes what we read as it meant it', async () => {
		const tar = pack();
		for (const { body, ...header } of plain) tar.entry({ ...header, ...common }, body);
		tar.finalize();
		const chunks: Buffer[] = [];
		for await (const chunk of tar) chunks.push(chunk as Buffer);
		const read = readTar(chunks).map(({ entry, body }) => ({ ...entry, body: body.toString() }));
		expect(read).toEqual(
			plain.map((member) => ({
				...tarEntry({ path: latin1(member.name), type: member.type, mode: member.mode, size: member.size }),
				linkPath: 'linkname' in member ? member.linkname : '',
				uid: 1001,
				gid: 50,
				mtime: 1_700_000_000,
				body: member.body,
			})),
		);
	});

	test('reads what we write as we meant it', async () => {
		const bytes = writeTar(
			plain.map((member) => ({
				entry: tarEntry({
					path: latin1(member.name),
					type: member.type,
					mode: member.mode,
					size: member.size,
					linkPath: 'linkname' in member ? member.linkname : '',
					uid: 1001,
					gid: 50,
					mtime: 1_700_000_000,
				}),
				body: Buffer.from(member.body),
			})),
		);
		const read: unknown[] = [];
		const tar = extract();
		tar.on('entry', (header, stream, next) => {
			const { name, type, mode, size, linkname, uid, gid, mtime } = header;
			const parts: Buffer[] = [];
			stream.on('data', (chunk) => void parts.push(chunk as Buffer));
			stream.on('end', () => {
				read.push({ name, type, mode, size, linkname, uid, gid, mtime, body: Buffer.concat(parts).toString() });
				next();
			});
		});
		await pipeline([bytes], tar);
		expect(read).toEqual(
			plain.map((member) => ({ ...member, ...common, linkname: 'linkname' in member ? member.linkname : null })),
		);
	});
});
