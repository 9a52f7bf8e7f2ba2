import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agreement } from '../support/agreement.js';
import { build } from '../support/build.js';
import { type BuiltImage, pulled } from '../support/built.js';
import { leftovers } from '../support/host.js';
import { hostPrograms } from '../support/host-programs.js';
import { publishImage } from '../support/layers.js';
import { startRegistry, type TestRegistry } from '../support/registry.js';
import { arrange, CHROOT, describeRung, EACH_RUNG, rungOf, type TestRung } from '../support/rung.js';
import { type TarMember, tarDirectory, tarFile, tarHardLink, tarSymlink } from '../support/tar.js';
import { assembleSource, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const env = { SOURCE_DATE_EPOCH: '1750000000' };
/** `cap_net_raw+ep` as struct vfs_cap_data of revision 2. */
const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex');
const CAPABILITY_RECORD = 'SCHILY.xattr.security.capability';
const SPARSE_MAP = '2\n0\n512\n1048576\n512\n'.padEnd(512, '\0');
const own = { uid: 1001, gid: 0, mtime: 1_700_000_000 };

/** What a builder may hold besides ordinary files, below /special. */
const SPECIAL: readonly TarMember[] = [
	tarDirectory('special', own),
	tarFile('special/setuid', '#!/bin/sh\n', { ...own, mode: 0o4711 }),
	tarDirectory('special/setgid', { ...own, mode: 0o2750 }),
	{ name: 'special/fifo', flag: '6', ...own, mode: 0o600 },
	{ name: 'special/null', flag: '3', device: [1, 3], ...own, mode: 0o666 },
	{ name: 'special/disk', flag: '4', device: [8, 0], ...own, mode: 0o660 },
	tarFile('special/unreadable', 'secret\n', { ...own, mode: 0 }),
	tarDirectory('special/closed', { ...own, mode: 0o300 }),
	tarFile('special/closed/file', 'inside\n', own),
	tarFile('special/first', 'linked\n', own),
	tarHardLink('special/second', 'special/first', own),
	tarSymlink('special/link', '../nowhere', own),
	tarFile('special/sparse', SPARSE_MAP + 'a'.repeat(512) + 'b'.repeat(512), {
		...own,
		pax: {
			'GNU.sparse.major': '1',
			'GNU.sparse.minor': '0',
			'GNU.sparse.name': 'special/sparse',
			'GNU.sparse.realsize': String(1_048_576 + 1024),
		},
	}),
	tarFile('special/attribute', 'x', { ...own, pax: { 'SCHILY.xattr.user.origin': 'the builder' } }),
	tarFile('special/capable', 'x', { ...own, mode: 0o755, pax: { [CAPABILITY_RECORD]: CAPABILITY } }),
];

let registry: TestRegistry;
beforeAll(async () => void (registry = await startRegistry()));
afterAll(() => registry.close());

async function builtOn(
	rung: TestRung,
	context: Parameters<typeof arrange>[1],
	words: readonly string[],
): Promise<string> {
	const { workspace, args, options } = arrange(rung, context);
	const { result } = await build(workspace, [...words, ...args], { ...options, env });
	expect(result.rung).toMatchObject(rung.expected);
	expect(await leftovers(workspace)).toEqual([]);
	return String(result.layer?.diffId);
}

/** The names below /special in the layer. */
function special({ entries }: BuiltImage): readonly string[] {
	return [...entries.keys()].filter((name) => name.startsWith('special'));
}

describe('special files of a builder', () => {
	const untouched = agreement('the layer with nothing changed');
	const changed = agreement('the layer with special files');

	for (const rung of EACH_RUNG) {
		test(`that were only touched are in no layer, on ${describeRung(rung)}`, async (context) => {
			const builder = publishImage(registry, 'special', { files: SPECIAL });
			const script = `
			for name in setuid setgid null disk unreadable closed closed/file first second link sparse attribute capable; do
				touch -h /special/$name
			done
			test "$(stat -c %F /special/fifo)" = fifo
			test "$(stat -c %a /special/setuid)" = 4711
			test "$(cat /special/second)" = linked
			test "$(stat -c %s /special/sparse)" = 1049600
			echo done > result`;
			untouched.add(
				await builtOn(rung, context, [assembleSource(script), builder, `${registry.host}/team/special:touched`]),
			);
			expect(special(await pulled(registry, 'team/special', 'touched'))).toEqual([]);
		});

		test(`that were changed keep all else, on ${describeRung(rung)}`, async (context) => {
			const builder = publishImage(registry, 'special', { files: SPECIAL });
			const script = `
			cd /special
			chmod g+w setuid setgid fifo null disk first sparse attribute capable
			chmod 600 unreadable && echo more >> unreadable && chmod 0 unreadable
			rm closed/file`;
			changed.add(
				await builtOn(rung, context, [assembleSource(script), builder, `${registry.host}/team/special:changed`]),
			);
			const image = await pulled(registry, 'team/special', 'changed');
			expect(special(image)).toEqual([
				...['special', 'special/attribute', 'special/capable', 'special/closed', 'special/closed/.wh.file'],
				...['special/fifo', 'special/first', 'special/setgid', 'special/setuid', 'special/sparse'],
				'special/unreadable',
			]);
			const header = (name: string) => image.entries.get(`special/${name}`)?.header;
			expect(header('setuid')).toMatchObject({ mode: 0o4731, uid: 1001 });
			expect(header('setgid')).toMatchObject({ type: 'directory', mode: 0o2770, uid: 1001 });
			expect(header('fifo')).toMatchObject({ type: 'fifo', mode: 0o620, uid: 1001 });
			expect(header('first')).toMatchObject({ type: 'file', mode: 0o664, uid: 1001 });
			expect(header('closed')).toMatchObject({ mode: 0o300, uid: 1001 });
			expect(header('unreadable')).toMatchObject({ mode: 0, uid: 1001 });
			expect(image.entries.get('special/unreadable')?.content).toBe('secret\nmore\n');
			expect(header('attribute')?.pax).toMatchObject({ 'SCHILY.xattr.user.origin': 'the builder' });
			expect(header('capable')?.pax).toMatchObject({ [CAPABILITY_RECORD]: CAPABILITY.toString() });
			const holes = 'a'.repeat(512) + '\0'.repeat(1_048_576 - 512) + 'b'.repeat(512) + '\0'.repeat(512);
			const digest = (text: string) => createHash('sha256').update(text).digest('hex');
			expect(digest(image.entries.get('special/sparse')?.content ?? '')).toBe(digest(holes));
		});
	}
	untouched.isTested();
	changed.isTested();
});

describe('attributes that a root builder sets', () => {
	const rungs = [
		...[
			rungOf('root', 'runc'),
			rungOf('root', 'bwrap'),
			rungOf('s2oci-subuid', 'runc'),
			rungOf('s2oci-subuid', 'crun'),
		],
		...[rungOf('root', 'crun', 'copy'), rungOf('s2oci-subuid', 'runc', 'copy'), CHROOT],
	];
	const layers = agreement('the layer');

	for (const rung of rungs) {
		test(`are in the layer as root sets them, on ${describeRung(rung)}`, async (context) => {
			const files = [...SPECIAL, ...hostPrograms(context, 'setcap', 'cp')];
			const builder = publishImage(registry, 'capable', { files });
			const script = `
			bin=/usr/local/bin
			echo new > ping && $bin/setcap cap_net_raw+ep ping
			$bin/setcap cap_net_raw+ep /special/first
			$bin/setcap -r /special/capable
			$bin/cp --preserve=all /special/attribute copied
			chown 7:8 copied`;
			layers.add(
				await builtOn(rung, context, [
					...[assembleSource(script), builder, `${registry.host}/team/capable:1`],
					...['--assemble-user', '0'],
				]),
			);
			const { entries } = await pulled(registry, 'team/capable', '1');
			const pax = (name: string) => entries.get(name)?.header.pax;
			expect(pax('opt/app-root/src/ping')).toMatchObject({ [CAPABILITY_RECORD]: CAPABILITY.toString() });
			expect(pax('special/first')).toMatchObject({ [CAPABILITY_RECORD]: CAPABILITY.toString() });
			expect(entries.get('special/capable')?.header.size).toBe(1);
			expect(Object.keys(pax('special/capable') ?? {})).not.toContain(CAPABILITY_RECORD);
			expect(pax('opt/app-root/src/copied')).toMatchObject({ 'SCHILY.xattr.user.origin': 'the builder' });
			expect(entries.get('opt/app-root/src/copied')?.header).toMatchObject({ uid: 7, gid: 8 });
		});
	}
	layers.isTested();
});
