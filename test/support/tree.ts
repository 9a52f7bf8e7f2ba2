import fc from 'fast-check';
import { childOf, ROOT, type RootPath } from '../../src/root-path.js';
import type {
	DirectoryEntry,
	Entry,
	FileEntry,
	LayerEntry,
	SpecialEntry,
	SymlinkEntry,
} from '../../src/rootfs/tree.js';

export type LayerRow = readonly [RootPath, LayerEntry];

const ATTRIBUTES = { uid: 0, gid: 0, mtime: 0 };

/** `path`, which is an honest one, as a root path. */
export function at(path: string): RootPath {
	return path === '' ? ROOT : path.split('/').reduce<RootPath>((parent, part) => childOf(parent, part), ROOT);
}

export function file(size = 0, more: Partial<FileEntry> = {}): FileEntry {
	return { ...ATTRIBUTES, type: 'file', mode: 0o644, size, ...more };
}

export function directory(more: Partial<DirectoryEntry> = {}): DirectoryEntry {
	return { ...ATTRIBUTES, type: 'directory', mode: 0o755, ...more };
}

export function symlink(target: string, more: Partial<SymlinkEntry> = {}): SymlinkEntry {
	return { ...ATTRIBUTES, type: 'symlink', mode: 0o777, target, ...more };
}

export function special(type: SpecialEntry['type'], major = 0, minor = 0): SpecialEntry {
	return { ...ATTRIBUTES, type, mode: 0o600, major, minor };
}

export const WHITEOUT: LayerEntry = { type: 'whiteout' };
export const IMPLICIT: DirectoryEntry = directory({ implicit: true });

/** A layer as `ls -l` would list it: `{ 'etc/passwd': file(10) }`, in the order that unpacking gives, with its root. */
export function layer(entries: Readonly<Record<string, LayerEntry>>): readonly LayerRow[] {
	const rows = Object.entries(entries).map(([path, entry]): LayerRow => [at(path), entry]);
	const hasRoot = rows.some(([path]) => path === '');
	return [...(hasRoot ? [] : [[at(''), IMPLICIT] as LayerRow]), ...rows].sort(([a], [b]) => (a < b ? -1 : 1));
}

const attributes = fc.record({
	mode: fc.constantFrom(0o644, 0o755, 0o4755),
	uid: fc.constantFrom(0, 1001, 70_000),
	gid: fc.constantFrom(0, 70_000),
	mtime: fc.nat(1000),
});
const entry: fc.Arbitrary<Entry> = fc.oneof(
	fc.tuple(attributes, fc.nat(2)).map(([common, size]): Entry => ({ ...common, type: 'file', size })),
	attributes.map((common): Entry => ({ ...common, type: 'directory' })),
	fc
		.tuple(attributes, fc.constantFrom('a', '/b'))
		.map(([common, target]): Entry => ({ ...common, mode: 0o777, type: 'symlink', target })),
);
const path = fc.array(fc.constantFrom('a', 'a', 'b', 'a-'), { minLength: 1, maxLength: 4 });

/** A valid tree of a few names, four levels deep: every parent is a directory. */
export const anyTree: fc.Arbitrary<ReadonlyMap<RootPath, Entry>> = fc
	.array(fc.tuple(path, entry), { maxLength: 14 })
	.map((items) => {
		const tree = new Map<RootPath, Entry>([[at(''), directory()]]);
		for (const [parts, value] of items) {
			const parents = parts.slice(1).map((_part, index) => at(parts.slice(0, index + 1).join('/')));
			if (parents.some((parent) => (tree.get(parent)?.type ?? 'directory') !== 'directory')) continue;
			for (const parent of parents) if (!tree.has(parent)) tree.set(parent, directory());
			const own = at(parts.join('/'));
			if (!tree.has(own)) tree.set(own, value);
		}
		return tree;
	});

type Draw = 'kept' | 'opaque' | 'implicit' | 'gone';

function drawFrom(draws: Iterator<Draw>): Draw {
	const next = draws.next();
	return next.done === true ? 'kept' : next.value;
}

/** A layer over such trees: some entries are whiteouts, some directories are opaque or implicit. */
export const anyLayer: fc.Arbitrary<readonly LayerRow[]> = fc
	.tuple(anyTree, fc.infiniteStream(fc.constantFrom<Draw[]>('kept', 'kept', 'opaque', 'implicit', 'gone')))
	.map(([tree, draws]) => {
		const isParent = (candidate: RootPath) => [...tree.keys()].some((other) => other.startsWith(`${candidate}/`));
		return [...tree]
			.map(([where, value]): LayerRow => {
				const draw = where === '' ? 'kept' : drawFrom(draws);
				if (draw === 'gone' && !isParent(where)) return [where, WHITEOUT];
				if (value.type !== 'directory' || draw === 'kept' || draw === 'gone') return [where, value];
				return [where, draw === 'opaque' ? { ...value, opaque: true } : IMPLICIT];
			})
			.sort(([a], [b]) => (a < b ? -1 : 1));
	});
