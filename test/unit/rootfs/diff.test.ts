import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parentOf, ROOT, type RootPath } from '../../../src/root-path.js';
import { type Diff, type DiffContext, diffUpper } from '../../../src/rootfs/diff.js';
import type { WholeTree } from '../../../src/rootfs/merge.js';
import type { IdLimits } from '../../../src/rootfs/owner.js';
import { createLinker } from '../../../src/rootfs/pack.js';
import type { Change, Entry, UnreadFile } from '../../../src/rootfs/tree.js';
import type { UpperEntry } from '../../../src/rootfs/upper.js';
import { whiteoutOf } from '../../../src/rootfs/whiteout.js';
import { anyTree, at, directory, file, special, symlink } from '../../support/tree.js';
import {
	ASSEMBLE_USER,
	anyOperation,
	applyChanges,
	baseOf,
	contentOfBase,
	isWithin,
	type Model,
	type Operation,
	runModel,
} from './overlay-model.js';

const ALL_IDS: IdLimits = { uids: 0xffffffff, gids: 0xffffffff };
const ID_LIMITS: readonly (readonly [string, IdLimits])[] = [
	['every id', ALL_IDS],
	['a range of ids', { uids: 65_537, gids: 65_537 }],
	['a single id', { uids: 1, gids: 1 }],
];

function contextOf(base: WholeTree, ids: IdLimits, model: Pick<Model, 'content'>): DiffContext {
	return {
		base,
		ids,
		assembleUser: ASSEMBLE_USER,
		sameContent: (path, { entry }) => model.content.get(path) === contentOfBase(path, entry),
		scaffolding: new Set(),
	};
}

interface Case {
	readonly base: WholeTree;
	readonly model: Model;
	readonly changes: readonly Change[];
}

function anyCase(ids: IdLimits): fc.Arbitrary<Case> {
	// A link to a file of the base whose owner the host cannot hold, and whose first name is gone, has lost that owner.
	const operations = fc.array(anyOperation(ids === ALL_IDS), { maxLength: 12 });
	return fc.tuple(anyTree, operations).map(([tree, done]) => caseOf(tree, done, ids));
}

function caseOf(tree: ReadonlyMap<RootPath, Entry>, operations: readonly Operation[], ids: IdLimits): Case {
	const base = baseOf(tree);
	const model = runModel(base, operations, ids);
	return { base, model, changes: layerOf(diffUpper(model.upper, contextOf(base, ids, model)), model.upper) };
}

/** The changes as they are packed: read, and linked. */
function layerOf(diff: Diff, upper: readonly UpperEntry[]): readonly Change[] {
	const linked = createLinker();
	return diff.changes.map((change) => {
		if (change.type === 'remove') return change;
		if (change.type === 'put') return linked(change);
		const found = upper.find(({ path }) => path === change.path);
		if (found === undefined) throw new Error(`${change.path} is in no upper directory`);
		return linked(diff.declare(found));
	});
}

/** `upper` as it is found when files in new directories are left unread. */
function unread(upper: readonly UpperEntry[], base: WholeTree): readonly (UpperEntry | UnreadFile)[] {
	return upper.map(({ path, ...rest }) =>
		rest.type === 'file' && path !== ROOT && !base.has(parentOf(path)) ? { type: 'unread', path } : { path, ...rest },
	);
}

/** What an image shows of a path, without times and inode numbers. */
function visible(entry: Entry, content: string): object {
	const { mode, uid, gid, type } = entry;
	return { type, uid, gid, ...(type === 'symlink' ? { target: entry.target } : { mode }), content };
}

const byPath = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => (a < b ? -1 : 1);

describe.each(ID_LIMITS)('the diff of an upper directory, with %s', (_what, ids) => {
	const runs = { numRuns: 300 };

	test('applied to the base gives what assemble left', () => {
		fc.assert(
			fc.property(anyCase(ids), ({ base, model, changes }) => {
				const result = [...applyChanges(base, changes, model.content)].sort(byPath);
				const wanted = [...model.after].sort(byPath);
				expect(result.map(([path, { entry, content }]) => [path, visible(entry, content)])).toEqual(
					wanted.map(([path, { entry, content }]) => [path, visible(entry, content)]),
				);
			}),
			runs,
		);
	});

	test('has no whiteout below a whiteout, and none for what the base lacks', () => {
		fc.assert(
			fc.property(anyCase(ids), ({ base, changes }) => {
				const removed = changes.filter(({ type }) => type === 'remove').map(({ path }) => path);
				for (const path of removed) {
					expect(base.has(path)).toBe(true);
					expect(removed.some((other) => other !== path && isWithin(path, other))).toBe(false);
				}
			}),
			runs,
		);
	});

	test('repeats every parent of a change once, and nothing else that is as it was', () => {
		fc.assert(
			fc.property(anyCase(ids), ({ base, model, changes }) => {
				const paths = changes.map(({ path }) => path);
				expect(new Set(paths).size).toBe(paths.length);
				for (const { path } of changes) if (parentOf(path) !== ROOT) expect(paths).toContain(parentOf(path));
				for (const change of changes) {
					const old = base.get(change.path)?.entry;
					if (change.type === 'remove' || old === undefined) continue;
					const isParent = paths.some((other) => parentOf(other) === change.path && other !== ROOT);
					const now = visible(change.entry, model.content.get(change.path) ?? '');
					if (!isParent) expect(now).not.toEqual(visible(old, contentOfBase(change.path, old)));
				}
			}),
			runs,
		);
	});

	test('is in the order of the names in the layer, hard links after what they link to', () => {
		fc.assert(
			fc.property(anyCase(ids), ({ changes }) => {
				const names = changes.map((change) => (change.type === 'put' ? change.path : whiteoutOf(change.path)));
				expect(names).toEqual([...names].sort());
				const whole = new Set<RootPath>();
				for (const change of changes) {
					if (change.type === 'remove' || change.entry.type !== 'file') continue;
					if (change.entry.linkOf === undefined) whole.add(change.path);
					else expect(whole).toContain(change.entry.linkOf);
				}
			}),
			runs,
		);
	});

	test('is the same when files in new directories are read only when they are packed', () => {
		fc.assert(
			fc.property(anyCase(ids), ({ base, model, changes }) => {
				const diff = diffUpper(unread(model.upper, base), contextOf(base, ids, model));
				expect(layerOf(diff, model.upper)).toEqual(changes);
				expect(diff.statistics).toEqual(diffUpper(model.upper, contextOf(base, ids, model)).statistics);
			}),
			runs,
		);
	});

	test('is empty when nothing was done but to touch files', () => {
		const touches = fc
			.array(anyOperation(false), { maxLength: 8 })
			.map((done) => done.map(({ path }): Operation => ({ type: 'touch', path, text: '' })));
		fc.assert(
			fc.property(anyTree, touches, (tree, done) => {
				expect(caseOf(tree, done, ids).changes).toEqual([]);
			}),
			{ numRuns: 200 },
		);
	});
});

describe('the diff of an upper directory', () => {
	const inUpper = (path: string, more: Partial<UpperEntry> = {}): UpperEntry => ({
		path: at(path),
		type: 'file',
		mode: 0o644,
		uid: 1001,
		gid: 0,
		size: 0,
		mtime: 0,
		xattrs: new Map(),
		opaque: false,
		copiedUp: false,
		...more,
	});
	const tree = baseOf(
		new Map<RootPath, Entry>([
			[at(''), directory()],
			[at('etc'), directory({ uid: 5, mtime: 7 })],
			[at('etc/old'), file(3, { uid: 9, gid: 9 })],
			[at('etc/link'), symlink('old', { uid: 9 })],
		]),
	);
	const changesOf = (upper: readonly UpperEntry[], more: Partial<DiffContext> = {}) => {
		const diff = diffUpper(upper, { ...contextOf(tree, ALL_IDS, { content: new Map() }), ...more });
		return { changes: layerOf(diff, upper), statistics: diff.statistics };
	};
	const paths = (changes: readonly Change[]) => changes.map(({ type, path }) => `${type} ${path}`);

	test('forgets what was below a directory that was made anew, at every depth', () => {
		const deep = baseOf(
			new Map<RootPath, Entry>([
				[at(''), directory()],
				[at('d'), directory()],
				[at('d/e'), directory()],
				[at('d/e/f'), file(1)],
			]),
		);
		const made = { type: 'directory', mode: 0o755, uid: 0 } as const;
		const upper = [inUpper('d', { ...made, opaque: true }), inUpper('d/e', made)];
		expect(paths(changesOf(upper, { base: deep }).changes)).toEqual(['put d', 'put d/e', 'remove d/e/f']);
	});

	test('counts what was added, changed and deleted, without the repeated parents', () => {
		const upper = [
			inUpper('etc', { type: 'directory', uid: 5, mode: 0o755 }),
			inUpper('etc/new'),
			inUpper('etc/old', { size: 4, uid: 9, gid: 9 }),
			inUpper('etc/link', { type: 'whiteout' }),
		];
		const { changes, statistics } = changesOf(upper);
		expect(statistics).toEqual({ added: 1, changed: 1, deleted: 1 });
		expect(paths(changes)).toEqual(['put etc', 'remove etc/link', 'put etc/new', 'put etc/old']);
		expect(changes[0]).toMatchObject({ entry: { uid: 5, mtime: 7 } });
	});

	test.each([1, 5])('keeps the owner of the base for a new hard link to one of its files, with %i ids', (count) => {
		const inode = '1:1';
		const upper = [
			inUpper('etc/old', { uid: 0, size: 3, inode, copiedUp: true }),
			inUpper('same', { uid: 0, size: 3, inode, copiedUp: true }),
		];
		const { changes } = changesOf(upper, { ids: { uids: count, gids: count }, sameContent: () => true });
		expect(changes).toMatchObject([{ path: 'same', entry: { uid: 9, gid: 9 } }]);
	});

	test('sees xattrs that came, went or changed, and not those that overlay or the host made', () => {
		const xattrs = (value: string) => new Map([['user.a', Buffer.from(value)]]);
		const base = baseOf(
			new Map<RootPath, Entry>([
				[at(''), directory()],
				[at('f'), file(0, { uid: 1001, xattrs: new Map([...xattrs('1'), ['security.selinux', Buffer.from('x')]]) })],
			]),
		);
		const context = { base, sameContent: () => true };
		expect(changesOf([inUpper('f', { xattrs: xattrs('1') })], context).changes).toEqual([]);
		expect(paths(changesOf([inUpper('f', { xattrs: xattrs('2') })], context).changes)).toEqual(['put f']);
		expect(paths(changesOf([inUpper('f')], context).changes)).toEqual(['put f']);
	});

	test('keeps xattrs that this host never had, for what was copied up but not for what is new', () => {
		const declared = new Map([
			['user.a', Buffer.from('1')],
			['user.b', Buffer.from('2')],
		]);
		const base = baseOf(
			new Map<RootPath, Entry>([
				[at(''), directory()],
				[at('f'), file(0, { uid: 1001, xattrs: declared })],
			]),
		);
		const there = new Map([['user.b', Buffer.from('2')]]);
		const context = { base, sameContent: () => true, lostXattrs: () => new Map([['user.a', Buffer.from('1')]]) };
		const copied = inUpper('f', { xattrs: there, copiedUp: true });
		expect(changesOf([copied], context).changes).toEqual([]);
		const [chmoded] = changesOf([{ ...copied, mode: 0o600 }], context).changes;
		expect(chmoded).toMatchObject({ entry: { mode: 0o600, xattrs: declared } });
		const [replaced] = changesOf([inUpper('f', { xattrs: there })], context).changes;
		expect(replaced).toMatchObject({ entry: { xattrs: there } });
	});

	test('takes the empty file that stands for a device for the device, whatever mode it was given', () => {
		const device = { ...special('character', 1, 3), mode: 0o666, uid: 9, gid: 9 };
		const base = baseOf(
			new Map<RootPath, Entry>([
				[at(''), directory()],
				[at('null'), device],
			]),
		);
		const stand = inUpper('null', { mode: 0o060, uid: 9, gid: 9, copiedUp: true });
		expect(changesOf([stand], { base }).changes).toEqual([]);
		expect(changesOf([{ ...stand, uid: 5 }], { base }).changes).toMatchObject([{ entry: { ...device, uid: 5 } }]);
		expect(changesOf([{ ...stand, size: 1 }], { base }).changes).toMatchObject([{ entry: { type: 'file' } }]);
		expect(changesOf([{ ...stand, copiedUp: false }], { base }).changes).toMatchObject([{ entry: { type: 'file' } }]);
	});

	test('leaves out sockets and mount points that nothing was put into', () => {
		const scaffolding = new Set([at('run'), at('run/s2oci')]);
		const made = { type: 'directory', mode: 0o755, uid: 0 } as const;
		const mountPoints = [inUpper('run', made), inUpper('run/s2oci', made)];
		expect(changesOf([...mountPoints, inUpper('sock', { type: 'other' })], { scaffolding }).changes).toEqual([]);
		expect(paths(changesOf([...mountPoints, inUpper('run/pid')], { scaffolding }).changes)).toEqual([
			'put run',
			'put run/pid',
		]);
	});

	test('does not read a file whose size, mode or owner says that it changed', () => {
		const sameContent = () => {
			throw new Error('was read');
		};
		const upper = [inUpper('etc/old', { size: 4, uid: 9, gid: 9 }), inUpper('etc/link', { type: 'file' })];
		expect(paths(changesOf(upper, { sameContent }).changes)).toEqual(['put etc', 'put etc/link', 'put etc/old']);
	});
});
