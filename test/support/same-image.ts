import { expect } from 'vitest';
import type { BuildResult } from '../../src/pipeline/result.js';
import { build, type RunOptions } from './build.js';
import { leftovers } from './host.js';
import type { Arranged } from './rung.js';

const EPOCH = '1750000000';

/** What says whether two images are the same: all of it. */
export function identity({ layer, digest, configDigest }: BuildResult): string {
	return [layer?.diffId, layer?.digest, configDigest, digest].join(' ');
}

/** Builds at a fixed time, and checks that nothing is left behind. */
export async function builtOn(
	{ workspace, args, options }: Pick<Arranged, 'workspace' | 'args' | 'options'>,
	words: readonly string[],
	more: RunOptions = {},
): Promise<BuildResult> {
	const env = { SOURCE_DATE_EPOCH: EPOCH, ...more.env };
	const { result } = await build(workspace, [...words, '--copy', ...args], { ...options, ...more, env });
	expect(await leftovers(workspace)).toEqual([]);
	return result;
}
