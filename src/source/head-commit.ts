import { join } from 'node:path';
import { isBuildError } from '../errors.js';
import { redact } from '../redact.js';
import type { Commit } from './clone.js';
import { readCommitText } from './commit.js';
import { confineRepository } from './confine-repository.js';
import type { Environment } from './git.js';
import { readCommitObject } from './git-objects.js';
import { findRepository, type LocalRepository, readSmallFile } from './local-repository.js';

const MAX_REFS_BYTES = 64 << 20;
/** git follows no more. */
const MAX_SYMBOLIC = 5;
const ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** Of a ref, by its full name. */
interface Head {
	readonly id: string;
	/** The branch that is checked out. */
	readonly branch?: string;
}

/**
 * What labels and the result say of the commit that is checked out in the local repository `path`, read without git: the same as git
 * would say. Undefined where that takes git: the repository leads outside of itself ({@link confineRepository}), keeps its refs as no files,
 * borrows its objects from another, or is damaged. Starts no program.
 */
export async function readHeadCommit(path: string, env: Environment): Promise<Commit | undefined> {
	try {
		return await readConfined(path, env);
	} catch (error) {
		if (isBuildError(error, 'SOURCE_GIT') || isBuildError(error, 'SOURCE_INVALID')) return undefined;
		throw error;
	}
}

async function readConfined(path: string, env: Environment): Promise<Commit | undefined> {
	const repository = await findConfined(path, env);
	const head = repository === undefined ? undefined : await readHead(repository);
	if (repository === undefined || head === undefined) return undefined;
	const raw = await readCommitObject(join(repository.commonDirectory, 'objects'), head.id);
	const text = raw === undefined ? undefined : readCommitText(raw);
	if (text === undefined) return undefined;
	return { location: path, commit: head.id, ...(head.branch !== undefined && { ref: redact(head.branch) }), ...text };
}

async function findConfined(path: string, env: Environment): Promise<LocalRepository | undefined> {
	const repository = await findRepository(path);
	if (repository === undefined) return undefined;
	const confinement = { roots: [], env, readWorkTree: () => Promise.resolve(undefined) };
	const { leadsOut } = await confineRepository(repository, confinement);
	return leadsOut === undefined ? repository : undefined;
}

async function readHead({ gitDirectory, commonDirectory }: LocalRepository): Promise<Head | undefined> {
	let text = await readSmallFile(join(gitDirectory, 'HEAD'));
	let branch: string | undefined;
	for (let followed = 0; followed < MAX_SYMBOLIC; followed += 1) {
		const value = text?.trimEnd() ?? '';
		if (ID.test(value)) return { id: value, ...(branch !== undefined && { branch }) };
		const name = /^ref: *(refs\/\S+)$/.exec(value)?.[1];
		if (name === undefined || name.split('/').includes('..')) return undefined;
		branch = name.replace(/^refs\/(?:heads\/)?/, '');
		text = (await readSmallFile(join(commonDirectory, name))) ?? (await readPackedRef(commonDirectory, name));
	}
	return undefined;
}

async function readPackedRef(commonDirectory: string, name: string): Promise<string | undefined> {
	const refs = await readSmallFile(join(commonDirectory, 'packed-refs'), MAX_REFS_BYTES);
	return refs
		?.split('\n')
		.find((line) => line.endsWith(` ${name}`))
		?.split(' ')[0];
}
