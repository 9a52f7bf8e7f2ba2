import { execFileSync } from 'node:child_process';
import { chmodSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rawPath } from '../../../src/root-path.js';
import { digestContent } from '../../../src/source/content-digest.js';
import { temporaryDirectory } from '../../support/fs.js';

type Node =
	| { readonly type: 'file'; readonly text: string; readonly mode: number }
	| { readonly type: 'link'; readonly target: string }
	| { readonly type: 'directory'; readonly nodes: Readonly<Record<string, Node>> };
type Tree = Readonly<Record<string, Node>>;

const { signal } = new AbortController();
const digest = (directory: string) => digestContent(rawPath(directory), signal);

function write(directory: string, tree: Tree, names = Object.keys(tree)): void {
	for (const name of names) {
		const node = tree[name];
		const path = join(directory, name);
		if (node?.type === 'link') symlinkSync(node.target, path);
		else if (node?.type === 'directory') {
			mkdirSync(path, { mode: 0o755 });
			write(path, node.nodes);
		} else if (node?.type === 'file') {
			writeFileSync(path, node.text);
			chmodSync(path, node.mode);
		}
	}
}

async function digestOfTree(tree: Tree, names?: string[]): Promise<string> {
	using temporary = temporaryDirectory();
	write(temporary.path, tree, names);
	return await digest(temporary.path);
}

const name = fc.constantFrom('a', 'b', 'ab', 'é', 'a b', 'file');
const leaf: fc.Arbitrary<Node> = fc.oneof(
	fc.record({
		type: fc.constant('file' as const),
		text: fc.constantFrom('', 'a', 'b', '\0', 'file\0a\0'),
		mode: fc.constantFrom(0o644, 0o755),
	}),
	fc.record({ type: fc.constant('link' as const), target: fc.constantFrom('a', 'b', '..') }),
);
const treeOf = (node: fc.Arbitrary<Node>): fc.Arbitrary<Tree> =>
	fc.dictionary(name, node, { maxKeys: 3, noNullPrototype: true });
const directoryOf = (nodes: fc.Arbitrary<Tree>): fc.Arbitrary<Node> =>
	fc.record({ type: fc.constant('directory' as const), nodes });
const tree = treeOf(fc.oneof(leaf, directoryOf(treeOf(fc.oneof(leaf, directoryOf(treeOf(leaf)))))));

describe('the digest of what a directory holds', () => {
	test('is the same for two trees only if they are the same', async () => {
		const canonical = (value: Tree): string =>
			JSON.stringify(value, (_key, each: unknown) =>
				each !== null && typeof each === 'object'
					? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
					: each,
			);
		const law = async (one: Tree, two: Tree) => {
			expect((await digestOfTree(one)) === (await digestOfTree(two))).toBe(canonical(one) === canonical(two));
		};
		await fc.assert(fc.asyncProperty(tree, tree, law), { numRuns: 300 });
	});

	test('does not depend on times, nor on the order in which entries were made', async () => {
		const law = async (made: Tree) => {
			using temporary = temporaryDirectory();
			write(temporary.path, made);
			const before = await digest(temporary.path);
			execFileSync('find', [temporary.path, '-exec', 'touch', '-h', '-d', '@1', '{}', '+']);
			expect(await digest(temporary.path)).toBe(before);
			expect(await digestOfTree(made, Object.keys(made).reverse())).toBe(before);
		};
		await fc.assert(fc.asyncProperty(tree, law), { numRuns: 50 });
	});

	test('tells one file by two names from two files', async () => {
		using one = temporaryDirectory();
		using two = temporaryDirectory();
		for (const { path } of [one, two]) writeFileSync(join(path, 'a'), 'text');
		linkSync(join(one.path, 'a'), join(one.path, 'b'));
		writeFileSync(join(two.path, 'b'), 'text');
		expect(await digest(one.path)).not.toBe(await digest(two.path));
	});

	test('reads large files whole, and stops when it is told to', async () => {
		using temporary = temporaryDirectory();
		const bytes = Buffer.alloc(6 << 20, 7);
		writeFileSync(join(temporary.path, 'large'), bytes);
		const before = await digest(temporary.path);
		bytes[bytes.length - 1] = 8;
		writeFileSync(join(temporary.path, 'large'), bytes);
		expect(await digest(temporary.path)).not.toBe(before);
		await expect(digestContent(rawPath(temporary.path), AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop');
	});
});
