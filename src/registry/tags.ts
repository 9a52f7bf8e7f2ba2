import * as v from 'valibot';
import { readBytes } from '../content/verify.js';
import { BuildError } from '../errors.js';
import { discard } from '../http/client.js';
import { parseJson } from '../json.js';
import { formatRepository } from '../oci/reference.js';
import { responseError } from './response-error.js';
import { type RemoteRepository, requestTo } from './transport.js';

const PAGE = 1000;
const MAX_PAGES = 200;
const MAX_TAGS = 100_000;
/** A registry may answer with all tags at once, whatever it was asked for: these are 100,000 of the longest. */
const MAX_PAGE_BYTES = 16 * 1024 * 1024;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const schema = v.object({ tags: v.nullish(v.array(v.pipe(v.string(), v.regex(TAG)))) });

/**
 * All tags of a repository, sorted, page by page (distribution-spec v1.1 "Listing Tags"). Throws REGISTRY_REFUSED for
 * an answer that is no list of tags, leads to another place, or has no end, and what registries answer otherwise.
 */
export async function listTags(remote: RemoteRepository, signal: AbortSignal): Promise<readonly string[]> {
	const what = `listing the tags of ${formatRepository(remote.name)}`;
	const tags = new Set<string>();
	let next: string | URL | undefined = `tags/list?n=${PAGE}`;
	for (let page = 0; next !== undefined; page += 1) {
		if (page === MAX_PAGES || tags.size > MAX_TAGS) throw refused(what, 'it has no end');
		const request = requestTo(remote, 'GET', next, 'pull');
		const response = await remote.send(request, signal);
		if (response.status !== 200) throw await responseError(response, what);
		const link = response.headers['link'];
		const before = tags.size;
		for (const tag of await readPage(response.body, what)) tags.add(tag);
		next = link === undefined ? undefined : nextPage(link, request.url, what);
		if (next !== undefined && tags.size === before) throw refused(what, 'a page of it has nothing new');
		discard(response);
	}
	return [...tags].sort();
}

async function readPage(body: AsyncIterable<Uint8Array>, what: string): Promise<readonly string[]> {
	const bytes = await readBytes(body, MAX_PAGE_BYTES, `what came of ${what}`);
	let value: unknown;
	try {
		value = parseJson(Buffer.from(bytes).toString('utf8'));
	} catch {
		throw refused(what, 'it is not JSON');
	}
	const page = v.safeParse(schema, value);
	if (!page.success) throw refused(what, `it is no list of tags (${v.getDotPath(page.issues[0]) ?? 'as a whole'})`);
	return page.output.tags ?? [];
}

/** Where `Link: <URL>; rel="next"` (RFC 8288) leads. What it says of the host is of no account: proxies leave there what they like. */
function nextPage(link: string, current: URL, what: string): URL | undefined {
	const target = /^\s*<([^>]{1,2000})>\s*;[^,]*\brel="?next"?/.exec(link)?.[1];
	if (target === undefined) return undefined;
	const found = URL.canParse(target, current.href) ? new URL(target, current) : undefined;
	if (found?.pathname !== current.pathname) throw refused(what, 'its next page is another place');
	return new URL(`${current.pathname}${found.search}`, current);
}

function refused(what: string, why: string): BuildError {
	return new BuildError('REGISTRY_REFUSED', `${what} failed: the answer of the registry cannot be used: ${why}`, {
		hint: 'Name the images by their tags.',
	});
}
