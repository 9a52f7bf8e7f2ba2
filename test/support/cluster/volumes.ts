import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { emptyDirectory } from './container.js';

/** Secrets and ConfigMaps of a namespace: the files of each, by its name. */
export type Objects = Readonly<Record<string, Readonly<Record<string, string>>>>;

interface Items {
	readonly items?: readonly { readonly key: string; readonly path: string }[];
}

/** What a volume, or the binding of a workspace, is made of. */
export interface VolumeSource {
	readonly emptyDir?: object;
	readonly secret?: Items & { readonly secretName: string };
	readonly configMap?: Items & { readonly name: string };
}

export type Volume = VolumeSource & { readonly name: string };

/** Makes a volume below `parent`, and returns where it is. Throws for an object that is not among `objects`. */
export function makeVolume({ emptyDir, secret, configMap }: VolumeSource, parent: string, objects: Objects): string {
	const directory = emptyDirectory(parent);
	if (emptyDir !== undefined) return directory;
	const name = secret?.secretName ?? configMap?.name ?? '';
	const files = objects[name];
	if (files === undefined) throw new Error(`there is no Secret or ConfigMap ${name}`);
	const all = Object.keys(files).map((key) => ({ key, path: key }));
	for (const { key, path } of (secret ?? configMap)?.items ?? all) {
		writeFileSync(join(directory, path), files[key] ?? '', { mode: 0o644 });
	}
	return directory;
}
