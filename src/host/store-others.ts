import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { rawPath } from '../root-path.js';
import { diskUse, holdsLayers } from '../rootfs/stored-layers.js';

/** What is in the store beside layers: records, the scratch directories of running builds, caches. */
export interface StorePart {
	/** Its name in the store. */
	readonly name: string;
	/** What the disk gives for it. */
	readonly bytes: number;
}

/** Everything in `store` but layers. What belongs to other ids, as parts of running builds may, is not seen from here. */
export async function listOthers(store: string): Promise<readonly StorePart[]> {
	const names = await readdir(store);
	return names
		.filter((name) => !holdsLayers(name))
		.sort()
		.map((name) => ({ name, bytes: diskUse(rawPath(join(store, name))) }))
		.filter(({ bytes }) => bytes > 0);
}
