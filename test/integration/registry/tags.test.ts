import { expect, test } from 'vitest';
import type { Faults } from '../../support/registry.js';
import { connect, logIn, repositoryOf, signal, start, user } from '../../support/registry-client.js';

const TAGS = ['1', '2', '3', '4', '5'];

/** A repository with {@link TAGS} on a registry with `faults`. */
async function tagged(faults: Faults) {
	const registry = await start(faults);
	for (const tag of TAGS) registry.manifests.set(`team/app:${tag}`, { mediaType: 'any', bytes: new Uint8Array(1) });
	return registry;
}

test('tags come page by page, as often as the registry has a next one', async () => {
	const registry = await tagged({ tagsPage: 2 });
	expect(await repositoryOf(registry).tags(signal)).toEqual(TAGS);
	expect(registry.requests.map(({ path }) => path)).toEqual([
		'/v2/team/app/tags/list?n=1000',
		'/v2/team/app/tags/list?last=2&n=1000',
		'/v2/team/app/tags/list?last=4&n=1000',
	]);
});

test('tags are asked for with a token that may pull', async () => {
	const registry = await tagged({ bearer: user });
	await logIn(registry.host);
	expect(await repositoryOf(registry, 'team/app', connect()).tags(signal)).toEqual(TAGS);
	const [token] = registry.requests.filter(({ server }) => server === 'token');
	expect(token?.path).toContain(encodeURIComponent('repository:team/app:pull'));
});

test('another host in a Link is passed over: the next page is on the same registry', async () => {
	const registry = await tagged({
		tagsPage: 2,
		tagsLink: '<http://evil.example/v2/team/app/tags/list?last=2>; rel=next',
	});
	await expect(repositoryOf(registry).tags(signal)).rejects.toThrow(/nothing new/);
	expect(registry.requests.map(({ path }) => path)).toContain('/v2/team/app/tags/list?last=2');
});

test.each<[string, Faults]>([
	['its next page is another place', { tagsLink: '</v2/secret/tags/list>; rel="next"' }],
	['its next page is another place', { tagsLink: '<http://[>; rel="next"' }],
	['a page of it has nothing new', { tagsLink: '</v2/team/app/tags/list>; rel="next"' }],
	['it is not JSON', { tagsBody: '<html>' }],
	['it is no list of tags', { tagsBody: '{"tags":["../../etc"]}' }],
	['it is no list of tags', { tagsBody: '{"tags":"1"}' }],
])('a list that cannot be used is refused: %s', async (why, faults) => {
	const listing = repositoryOf(await tagged(faults)).tags(signal);
	await expect(listing).rejects.toMatchObject({
		code: 'REGISTRY_REFUSED',
		message: expect.stringContaining(why) as unknown,
	});
});

test('a repository without tags has none', async () => {
	expect(await repositoryOf(await tagged({ tagsBody: '{"name":"team/app","tags":null}' })).tags(signal)).toEqual([]);
});
