import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

function pagesOf(folder: string): readonly string[] {
	return readdirSync(join(ROOT, folder))
		.filter((name) => name.endsWith('.md'))
		.map((name) => join(folder, name));
}

const pages = ['.', 'docs', 'docs/decisions', 'src', '.github'].flatMap(pagesOf);

/** Prose alone: what code shows is no link and no heading. */
function proseOf(path: string): string {
	return readFileSync(join(ROOT, path), 'utf8')
		.replace(/^```[^]*?^```$/gm, '')
		.replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()]/g, ''));
}

/** The anchors of a page, as GitHub and GitLab make them of its headings. */
function anchorsOf(path: string): readonly string[] {
	const seen = new Map<string, number>();
	return [...proseOf(path).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => {
		const anchor = heading
			.toLowerCase()
			.replace(/[^\p{L}\p{N} _-]/gu, '')
			.replaceAll(' ', '-');
		const count = seen.get(anchor) ?? 0;
		seen.set(anchor, count + 1);
		return count === 0 ? anchor : `${anchor}-${count}`;
	});
}

/** What is wrong with a relative link of `page`; undefined when it leads somewhere. */
function faultOf(page: string, link: string): string | undefined {
	const [path = '', anchor] = link.split('#');
	const target = path === '' ? page : join(dirname(page), path);
	if (relative('.', target).startsWith('..')) return `${link} leaves the repository`;
	if (!existsSync(join(ROOT, target))) return `${link} is not there`;
	if (anchor === undefined) return undefined;
	if (statSync(join(ROOT, target)).isDirectory() || !target.endsWith('.md')) return `${link} has no headings`;
	return anchorsOf(target).includes(anchor) ? undefined : `${link} is no heading`;
}

test.each(pages)('every relative link of %s leads to a file and a heading', (page) => {
	const links = [...proseOf(page).matchAll(/\]\((?![a-z]+:)([^)\s]+)\)/g)].map(([, link = '']) => link);
	expect(links.map((link) => faultOf(page, link)).filter((fault) => fault !== undefined)).toEqual([]);
});

test('most pages have links', () => {
	const linked = pages.filter((page) => /\]\((?![a-z]+:)[^)\s]+\)/.test(proseOf(page)));
	expect(linked.length).toBeGreaterThan(10);
});
